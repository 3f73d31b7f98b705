// The page: puts the picture, the choices and the list of jobs together.
import { get, patiently } from "./api.js";
import { Gallery } from "./gallery.js";
import { Jobs } from "./jobs.js";
import { frameOf, painted, pictureOf, smaller } from "./pictures.js";
import { Schedule } from "./schedule.js";
import { intoSight } from "./sight.js";
import { Stage } from "./stage.js";
import { sizeOf, stateOf, titleOf } from "./words.js";
import { upload } from "./upload.js";

// As many pixels as are painted at most, so that strokes are as large as the result's.
const LARGE = 1280;
const SMALL = 320;
const REFUSED = 400;
// Other types of images may move.
const PHOTO = /^image\/(jpeg|heic|heif|bmp|tiff)$/;
const $ = (id) => document.getElementById(id);

const session = await patiently(() => get("/api/session")).catch((error) => {
  $("away").textContent = `${error.message} Reload the page to try again.`;
  $("away").hidden = false;
  throw error;
});
const stage = new Stage();
const gallery = new Gallery(session.styles, session.default_style);
const schedule = new Schedule(session.styles, session.default_style);
const jobs = new Jobs($("list"), $("empty"), $("more"), $("filter"), $("away"), $("announce"));
jobs.styles = session.styles;

const example = pictureOf("/static/example.jpg", LARGE);

let files = [];
let frame = null;
let large = new AbortController();
// Videos of this visit play beside their painting without being fetched again.
const sources = new Map();

// The picture

// A job that somebody began to watch after `before` stays where it is.
async function showFrame(canvas, before = stage.job) {
  frame = canvas;
  schedule.seconds = canvas.seconds ?? NaN;
  if (stage.job === before) {
    stage.showFrame(canvas);
    jobs.select(null);
  }
  await paintAll();
}

async function paintAll() {
  // The gallery first: it is what one chooses by, and the large picture is the dearest.
  await gallery.show(smaller(frame, SMALL));
  await paintLarge();
}

async function paintLarge() {
  if (!frame) return;
  large.abort();
  large = new AbortController();
  try {
    const url = await painted(frame, { ...gallery.manner, ...schedule.manner }, large.signal);
    await stage.paint(url, `Your frame, painted as ${gallery.words}`);
    URL.revokeObjectURL(url);
    performance.mark("frame painted");
    schedule.refuse(null);
    trouble("painting", null);
  } catch (error) {
    if (error.name === "AbortError") return;
    // The other controls offer only what can be painted.
    const refused = error.status === REFUSED && schedule.changes;
    schedule.refuse(refused ? error.message : null);
    trouble("painting", refused ? null : error.message);
  }
}

gallery.addEventListener("change", () => {
  schedule.style = gallery.style;
  showChoice();
});
schedule.addEventListener("change", () => {
  gallery.style = schedule.style;
  showChoice();
});
gallery.addEventListener("trouble", (event) => trouble("gallery", event.detail.message));
gallery.addEventListener("painted", () => trouble("gallery", null));

function showChoice() {
  if (stage.job && frame) stage.showFrame(frame);
  describe();
  paintLarge();
}

function describe(job = null) {
  // A job's progress would be read out without an end; its end is announced.
  $("facts").ariaLive = job ? "off" : "polite";
  if (job) {
    $("title").textContent = job.video;
    $("facts").textContent = `${titleOf(job.style, session.styles)} · ${stateOf(job, false)}`;
    return;
  }
  $("title").textContent = files.length
    ? files.map((file) => file.name).join(", ")
    : "An example. Your video's own frame comes here.";
  $("facts").textContent = gallery.words;
}

// Choosing files

function choose(chosen) {
  // Dropped words, or a closed dialog: what was chosen before still is.
  if (!chosen.length) return;
  files = [...chosen];
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  $("chosen").textContent = files.length > 1 ? `${files.length} videos` : files[0].name;
  $("chosen-more").textContent = sizeOf(bytes);
  offer();
  trouble("video", files.map(refusal).find(Boolean));
  trouble("painting", null);
  performance.mark("files chosen");
  describe();
  showFirst(files);
}

function refusal(file) {
  if (!file.size) return `${file.name} is empty.`;
  if (PHOTO.test(file.type)) return `${file.name} is a photo: styles can be tried on it, but only videos are painted.`;
  if (file.size <= session.max_upload_bytes) return null;
  return `${file.name} is larger than ${sizeOf(session.max_upload_bytes)}, the most that this studio accepts.`;
}

// Shows the first of the videos that this browser can show, or the example.
async function showFirst(chosen) {
  const before = stage.job;
  for (const file of chosen) {
    const url = URL.createObjectURL(file);
    // What moves without being a video to the browser, such as a GIF, is shown as a picture.
    const canvas = (await frameOf(url, LARGE)) ?? (await pictureOf(url, LARGE).catch(() => null));
    URL.revokeObjectURL(url);
    // Others were chosen while it was read.
    if (files !== chosen) return;
    if (canvas) return showFrame(canvas, before);
  }
  const them = chosen.length > 1 ? "them" : "it";
  $("chosen-more").textContent += ` · this browser cannot show ${them}, so styles are shown on an example`;
  await showFrame(await example, before);
}

$("files").addEventListener("change", (event) => choose(event.target.files));
for (const target of [$("drop"), $("frame"), document.body]) {
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
    $("frame").classList.add("dropping");
  });
}
for (const event of ["dragleave", "drop"]) {
  document.body.addEventListener(event, (dropped) => {
    if (event === "dragleave" && dropped.relatedTarget) return;
    $("drop").classList.remove("over");
    $("frame").classList.remove("dropping");
  });
}
document.body.addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer.files);
});

// Painting

$("choices").addEventListener("submit", async (event) => {
  event.preventDefault();
  if ($("paint").ariaDisabled) return;
  const chosen = files;
  const request = { ...gallery.request, ...schedule.request };
  // A button that is disabled outright would lose the keyboard's focus.
  $("paint").ariaDisabled = "true";
  $("paint").textContent = "Uploading …";
  // The studio and the painters of this machine may share processors: what is asked for goes first.
  large.abort();
  const uploads = chosen.map((file, place) => paint(file, request, place === 0));
  $("files").value = "";
  jobs.reveal();
  await Promise.allSettled(uploads);
  offer();
});

function offer() {
  $("paint").disabled = false;
  $("paint").ariaDisabled = null;
  $("paint").parentElement.classList.remove("idle");
  $("paint").textContent = files.length > 1 ? `Paint ${files.length} videos` : "Paint";
}

async function paint(file, request, watch) {
  const leaving = new AbortController();
  const entry = jobs.uploading(file, () => leaving.abort());
  try {
    const { job } = await upload(file, request, entry.progress, leaving.signal);
    performance.mark("upload complete");
    sources.set(job, URL.createObjectURL(file));
    awaited = watch ? job : awaited;
    entry.done(job);
    const known = jobs.find(job);
    if (known) changed(known);
  } catch (error) {
    if (error.name !== "AbortError") entry.failed(error.message);
  }
}

// What is wrong with the videos, and with how they are to be painted, until it is so no more.
const troubles = new Map();

function trouble(about, words) {
  troubles.set(about, words);
  const shown = [...new Set(troubles.values())].filter(Boolean).join(" ");
  $("trouble").hidden = !shown;
  $("trouble").textContent = shown;
}

// Jobs

let awaited = null;

function watch(job) {
  awaited = null;
  stage.showJob(job, sources.get(job.id));
  jobs.select(job.id);
  describe(job);
}

function changed(job) {
  if (job.id === awaited) watch(job);
  if (stage.job !== job.id) return;
  stage.update(job);
  describe(job);
}

jobs.addEventListener("change", (event) => changed(event.detail));
jobs.addEventListener("watch", (event) => {
  watch(event.detail);
  intoSight($("frame"));
});
jobs.addEventListener("ready", () => {
  if (troubles.get("painting") || troubles.get("gallery")) paintAll();
});
jobs.addEventListener("gone", async (event) => {
  URL.revokeObjectURL(sources.get(event.detail));
  sources.delete(event.detail);
  if (stage.job === event.detail) showFrame(frame ?? (await example), event.detail);
});

if (session.sign_out) {
  $("sign-out").action = session.sign_out;
  $("sign-out").hidden = false;
  $("user").textContent = session.user;
}
const elsewhere = new BroadcastChannel("session");
$("sign-out").addEventListener("submit", () => elsewhere.postMessage("over"));
elsewhere.addEventListener("message", () => dispatchEvent(new Event("signed-out")));
jobs.follow();
describe();
const picture = await example;
if (!frame) await showFrame(picture, null);
