// The page's scripts under Node, as far as they need no browser. `test_page_scripts.py` puts them beside this file.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { beforeEach, mock, test } from "node:test";

import { call, pause } from "./api.js";
import { follow } from "./events.js";
import { Pace } from "./pace.js";
import { Playback } from "./playback.js";
import { LivePlayer } from "./player.js";
import { upload } from "./upload.js";
import { stateOf } from "./words.js";

const BLOCK = 4;
const NEVER = new AbortController().signal;

// What stands for the browser's own: requests that answer as told, a storage that may be forbidden, and a page.
let asked = [];
let answers = () => new Response(null, { status: 204 });
globalThis.fetch = async (path, { method = "GET" } = {}) => {
  asked.push(`${method} ${path}`);
  return answers(`${method} ${path}`);
};
let kept = new Map();
globalThis.localStorage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
};
const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.removeEventListener = page.removeEventListener.bind(page);

beforeEach(() => ([asked, kept] = [[], new Map()]));

function json(status, value) {
  return new Response(JSON.stringify(value), { status });
}

function fileOf(blocks) {
  return new File(["x".repeat(blocks * BLOCK)], "beach.mp4", { lastModified: 1 });
}

// A studio that takes uploads of blocks of four bytes; `received` are those that it has already.
function studio(blocks, received = []) {
  return (request) => {
    if (request === "POST /api/uploads") return json(201, { upload: "sealed", block_bytes: BLOCK, blocks, link: null });
    if (request === "GET /api/uploads/sealed") return json(200, { blocks: received, link: null });
    if (request.endsWith("/complete")) return json(201, { job: "0".repeat(24), video: "beach.mp4" });
    return new Response(null, { status: 204 });
  };
}

test("a pause that is over leaves nothing behind, and none begins once nobody waits", async () => {
  const stop = new AbortController();
  await pause(1, stop.signal);
  assert.equal(getEventListeners(stop.signal, "abort").length, 0);
  const waiting = pause(60_000, stop.signal);
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  await assert.rejects(pause(60_000, stop.signal), { name: "AbortError" });
});

test("what the studio refuses is a sentence", async () => {
  answers = () => json(409, { detail: "job 1 is done already" });
  await assert.rejects(call("/api/jobs/1/cancel"), { message: "Job 1 is done already" });
  answers = () => new Response("", { status: 502 });
  await assert.rejects(call("/api/jobs"), { message: "The studio answered 502." });
});

test("an upload that goes on while storage is away for a moment sends nothing twice", async () => {
  answers = (request) => (request.startsWith("PUT") ? json(400, { detail: "no" }) : studio(3)(request));
  await assert.rejects(upload(fileOf(3), {}, () => {}, NEVER), { message: "No" });
  asked = [];
  let away = true;
  answers = (request) => {
    if (request.startsWith("GET") && away) return (away = false), json(503, { detail: "storage does not answer" });
    return studio(3, [0, 1])(request);
  };
  await upload(fileOf(3), {}, () => {}, NEVER);
  assert.deepEqual(asked.filter((one) => !one.startsWith("GET")), ["PUT /api/uploads/sealed/2", "POST /api/uploads/sealed/complete"]);
});

test("an upload whose link expires goes on with another, though the browser does not say why storage refused", async () => {
  let links = 0;
  let left = 3;
  answers = (request) => {
    if (request.includes("link=1")) {
      if (left-- > 0) return new Response(null, { status: 201 });
      throw new TypeError("Failed to fetch");
    }
    if (request.includes("link=")) return new Response(null, { status: 201 });
    const link = `https://storage/a?link=${++links}`;
    if (request === "POST /api/uploads") return json(201, { upload: "sealed", block_bytes: BLOCK, blocks: 9, link });
    return request.startsWith("GET") ? json(200, { blocks: [], link }) : studio(9)(request);
  };
  await upload(fileOf(9), {}, () => {}, NEVER);
  const sent = (way) => asked.filter((one) => one.match(`PUT ${way}`)).length;
  assert.equal(sent("/api/uploads/sealed/") + sent("https://storage/a.link=[^1]"), 6);
  assert.ok(sent("https://storage/a.link=[^1]") >= 3);
});

test("an upload that the studio does not know any more begins anew", async () => {
  answers = (request) => (request.startsWith("PUT") ? json(400, { detail: "no" }) : studio(1)(request));
  await assert.rejects(upload(fileOf(1), {}, () => {}, NEVER));
  answers = (request) => (request.startsWith("GET") ? json(404, { detail: "older than six days" }) : studio(1)(request));
  await upload(fileOf(1), {}, () => {}, NEVER);
  assert.equal(asked.filter((one) => one === "POST /api/uploads").length, 2);
  assert.equal(kept.size, 0);
});

test("when one block is refused for good no others are sent", async () => {
  answers = (request) => (request === "PUT /api/uploads/sealed/0" ? json(400, { detail: "no" }) : studio(50)(request));
  await assert.rejects(upload(fileOf(50), {}, () => {}, NEVER), { message: "No" });
  await new Promise((done) => setTimeout(done, 50));
  assert.ok(asked.length < 10, `${asked.length} requests`);
});

test("an upload needs no storage of the browser's, but cannot go on later without it", async () => {
  const forbidden = () => {
    throw new DOMException("denied", "SecurityError");
  };
  const allowed = { ...globalThis.localStorage };
  Object.assign(globalThis.localStorage, { getItem: forbidden, setItem: forbidden, removeItem: forbidden });
  answers = studio(1);
  const done = await upload(fileOf(1), {}, () => {}, NEVER);
  Object.assign(globalThis.localStorage, allowed);
  assert.equal(done.video, "beach.mp4");
});

test("videos are sent one after the other, also after one that failed", async () => {
  let [sending, most] = [0, 0];
  answers = async (request) => {
    most = Math.max(most, ++sending);
    await new Promise(setImmediate);
    sending--;
    return request.endsWith("/complete") && asked.length < 10 ? json(400, { detail: "no" }) : studio(5)(request);
  };
  const [first, second] = await Promise.allSettled([1, 2].map(() => upload(fileOf(5), {}, () => {}, NEVER)));
  assert.deepEqual([first.status, second.status], ["rejected", "fulfilled"]);
  assert.ok(most <= 3, `${most} at once`);
});

test("the browser asks before a page with unsent videos is closed, and not once all are sent", async () => {
  const asks = () => !page.dispatchEvent(new Event("beforeunload", { cancelable: true }));
  answers = studio(1);
  const sent = [1, 2].map(() => upload(fileOf(1), {}, () => {}, NEVER));
  assert.ok(asks());
  await Promise.all(sent);
  await new Promise(setImmediate);
  assert.ok(!asks());
});

test("an upload that is cancelled before its turn sends nothing", async () => {
  answers = studio(1);
  const leaving = new AbortController();
  const first = upload(fileOf(1), {}, () => {}, NEVER);
  const second = upload(fileOf(2), {}, () => {}, leaving.signal);
  leaving.abort();
  await first;
  const before = asked.length;
  await assert.rejects(second, { name: "AbortError" });
  assert.equal(asked.length, before);
});

test("an empty file is refused by a sentence", async () => {
  await assert.rejects(upload(new File([], "empty.mp4"), {}, () => {}, NEVER), { message: "The file is empty." });
  assert.deepEqual(asked, []);
});

test("a player that was closed tells nothing any more", async () => {
  const video = { removeAttribute() {}, load() {} };
  const playback = new Playback(video, () => null);
  let told = 0;
  playback.addEventListener("lost", () => told++);
  playback.addEventListener("progress", () => told++);
  playback.close();
  playback.guard(Promise.reject(new DOMException("removed", "InvalidStateError")));
  playback.tell("progress");
  await new Promise(setImmediate);
  assert.equal(told, 0);
});

// A video with a Media Source of which only the places of segments, a second each, are kept.
class FakeVideo extends EventTarget {
  currentTime = 0;
  paused = true;
  src = "";
  playbackRate = 1;
  end = 0;
  get buffered() {
    return { length: this.end ? 1 : 0, start: () => 0, end: () => this.end };
  }
  play() {
    this.paused = false;
    return Promise.resolve();
  }
  removeAttribute() {
    this.src = "";
  }
  load() {}
}

// Without room for segments `room` ahead of the picture, or for more than `most`.
function sourceOf(video, { room = Infinity, most = Infinity } = {}) {
  const appended = [];
  const held = new Set();
  if (most < Infinity) Object.defineProperty(video, "buffered", { get: () => rangesOf(held) });
  class Buffer extends EventTarget {
    updating = false;
    get buffered() {
      return video.buffered;
    }
    appendBuffer(data) {
      const number = Number(new TextDecoder().decode(data));
      if (number - video.currentTime >= room || held.size >= most) throw new DOMException("full", "QuotaExceededError");
      this.updating = true;
      setImmediate(() => {
        this.updating = false;
        appended.push(number);
        if (number >= 0) {
          video.end = number + 1;
          held.add(number);
        }
        this.dispatchEvent(new Event("updateend"));
      });
    }
    remove(from, to) {
      for (const number of held) if (number >= from && number + 1 <= to) held.delete(number);
    }
  }
  class Source extends EventTarget {
    readyState = "open";
    static isTypeSupported = () => true;
    constructor() {
      super();
      setImmediate(() => this.dispatchEvent(new Event("sourceopen")));
    }
    addSourceBuffer() {
      return new Buffer();
    }
    endOfStream() {
      this.readyState = "ended";
    }
  }
  globalThis.window = { MediaSource: Source };
  URL.createObjectURL = () => "blob:it";
  return appended;
}

function rangesOf(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const starts = sorted.filter((number) => !numbers.has(number - 1));
  const ends = sorted.filter((number) => !numbers.has(number + 1));
  return { length: starts.length, start: (i) => starts[i], end: (i) => ends[i] + 1 };
}

// A job of which all segments are painted; its header has the number -1.
function painted(count) {
  const segments = [...Array(count).keys()].map((number) => ({ number, start_s: number, duration_s: 1 }));
  return (request) => {
    const [, first] = request.match(/live\?first=(\d+)$/) ?? [];
    if (first) return json(200, { codec: "avc1.640028", segments: segments.slice(first), ended: true });
    return new Response(request.endsWith("init.mp4") ? "-1" : request.match(/(\d+)\.m4s/)[1]);
  };
}

const ticks = async (count) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
};

test("what the browser has no room for is appended when there is", async () => {
  const video = new FakeVideo();
  const appended = sourceOf(video, { room: 10 });
  answers = painted(40);
  const player = new LivePlayer(video, "job", () => 40);
  let lost = null;
  player.addEventListener("lost", (event) => (lost = event.detail));
  await ticks(200);
  assert.deepEqual(appended.slice(1), [...Array(10).keys()]);
  for (; video.currentTime < 40; video.currentTime += 0.5) {
    const before = asked.length;
    video.dispatchEvent(new Event("timeupdate"));
    await ticks(40);
    assert.ok(asked.length - before < 12, "asked without a pause");
  }
  player.close();
  assert.equal(lost, null);
  assert.deepEqual(appended.slice(1), [...Array(40).keys()]);
});

test("a picture that the viewer goes back to takes the room of what lies ahead of it", async () => {
  const video = new FakeVideo();
  const appended = sourceOf(video, { most: 20 });
  answers = painted(100);
  const player = new LivePlayer(video, "job", () => 100);
  video.currentTime = 60;
  video.dispatchEvent(new Event("seeking"));
  await ticks(400);
  assert.ok(appended.includes(60));
  appended.length = 0;
  video.currentTime = 30;
  video.dispatchEvent(new Event("seeking"));
  await ticks(400);
  player.close();
  assert.ok(appended.length > 5);
  assert.deepEqual(
    appended,
    appended.map((_, place) => 30 + place),
  );
});

test("a picture that waits again and again does not throw away what it waits for", async () => {
  const video = new FakeVideo();
  const appended = sourceOf(video);
  const all = painted(5);
  answers = async (request) => {
    if (request.endsWith(".m4s")) {
      await new Promise(setImmediate);
      video.dispatchEvent(new Event("waiting"));
      await new Promise(setImmediate);
    }
    return all(request);
  };
  const player = new LivePlayer(video, "job", () => 5);
  await ticks(300);
  player.close();
  assert.deepEqual(appended, [-1, 0, 1, 2, 3, 4]);
  assert.equal(asked.filter((one) => one.endsWith(".m4s")).length, 5);
});

test("a player that is closed while it appends leaves the video to the next one", async () => {
  const video = new FakeVideo();
  const appended = sourceOf(video);
  answers = painted(5);
  const player = new LivePlayer(video, "job", () => 5);
  while (appended.length < 1) await ticks(1);
  player.close();
  await ticks(50);
  assert.ok(video.paused);
  assert.deepEqual(appended, [-1, 0]);
});

// Streams that are told what happens to them.
class Stream extends EventTarget {
  static all = [];
  constructor(path) {
    super();
    this.path = path;
    Stream.all.push(this);
  }
  close() {
    this.closed = true;
  }
}

globalThis.document = Object.assign(new EventTarget(), { hidden: false });

test("broken streams are opened again more and more rarely, and at once like the first after a good one", async (context) => {
  globalThis.EventSource = Stream;
  context.mock.timers.enable({ apis: ["setTimeout"] });
  context.mock.method(Math, "random", () => 0.5);
  answers = () => json(200, {});
  const words = [];
  follow("/api/events", { open() {}, lost: (why) => words.push(why) });
  const settle = () => new Promise(setImmediate);
  const breakOff = async () => {
    Stream.all.at(-1).dispatchEvent(new Event("error"));
    for (let i = 0; i < 5; i++) await settle();
  };
  const waits = [];
  const measure = async () => {
    const before = Stream.all.length;
    let waited = 0;
    while (Stream.all.length === before) (context.mock.timers.tick(100), (waited += 100));
    waits.push(waited);
  };
  for (let i = 0; i < 6; i++) (await breakOff(), await measure());
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 15000, 15000]);
  Stream.all.at(-1).dispatchEvent(new Event("open"));
  await breakOff();
  await measure();
  assert.equal(waits.at(-1), 1000);
  assert.ok(Stream.all.slice(0, -1).every((stream) => stream.closed));
  assert.ok(words.every((why) => why.startsWith("The studio does not answer.")));
});

test("a page that nobody sees follows nothing until it is seen again", () => {
  globalThis.EventSource = Stream;
  const show = (hidden) => {
    document.hidden = hidden;
    document.dispatchEvent(new Event("visibilitychange"));
    return Stream.all.filter(({ path }) => path === "/covered").map(({ closed }) => Boolean(closed));
  };
  show(true);
  follow("/covered", {});
  assert.deepEqual(show(true), []);
  assert.deepEqual(show(false), [false]);
  assert.deepEqual(show(false), [false]);
  assert.deepEqual(show(true), [true]);
  assert.deepEqual(show(false), [true, false]);
});

test("who is signed out is told so", async (context) => {
  globalThis.EventSource = Stream;
  context.mock.timers.enable({ apis: ["setTimeout"] });
  answers = () => json(401, { detail: "you are signed out" });
  const words = [];
  follow("/api/events", { open() {}, lost: (why) => words.push(why) });
  Stream.all.at(-1).dispatchEvent(new Event("error"));
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  assert.deepEqual(words, ["You are signed out. Reload the page to sign in again."]);
});

test("one frame is not several", () => {
  const job = { state: "done", ended: true, result: "a.mp4", error: null, warnings: [] };
  assert.equal(stateOf({ ...job, frames: 1 }), "Done · 1 frame");
  assert.equal(stateOf({ ...job, frames: 24 }), "Done · 24 frames");
});

test("a job that waits for its turn is not said to be read", () => {
  const job = { state: "queued", ended: false, frames: null, frames_painted: 0, frames_per_s: null, seconds_left: null, waiting: null, error: null, warnings: [] };
  assert.equal(stateOf(job), "Waiting for its turn");
  assert.equal(stateOf({ ...job, waiting: "a splitter" }), "Waiting for a splitter");
  assert.equal(stateOf({ ...job, state: "splitting" }), "Reading the video");
});

test("of a video whose picture begins late, what comes before is not waited for", () => {
  const video = new FakeVideo();
  const pace = new Pace(video, () => 3604);
  pace.update({ ended: false, live: { speed: 0.25, begins_s: 3600, playable_s: 1 } });
  pace.follow(3601, false);
  assert.equal(pace.wait, 8);
});
