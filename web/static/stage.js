// The large picture: a still frame or a playing video, before and after, with a divider between.
import { Refused } from "./api.js";
import { Unplayable } from "./playback.js";
import { LivePlayer } from "./player.js";
import { PlaylistPlayer } from "./playlist.js";
import { clock, codecOf, plays, speedOf, waitOf } from "./words.js";

const $ = (id) => document.getElementById(id);
// The original is brought back to the painted picture's time: gently, because its sound may be heard,
// and by a jump only where it is far off.
const GENTLE_S = 0.025;
const FAR_S = 0.3;
const GENTLY = 0.06;

export class Stage {
  #frame = $("frame");
  #before = $("before-video");
  #after = $("after-video");
  #still = $("after-still");
  #canvas = $("before-still");
  #live = null;
  #job = null;
  #hasBefore = false;
  // Whether the original can be seen beside a painting; null until that is known.
  #seesBefore = null;
  #muted = true;
  // The sentence that says why the painted part is not shown; the result will be.
  #lostWhy = null;
  // Why nothing is played, where only a picture and the download are left.
  #unplayable = null;

  constructor() {
    $("compare").addEventListener("input", () => this.#cut());
    $("play").addEventListener("click", () => this.#toggle());
    $("mute").addEventListener("click", () => this.#mute(!this.#muted));
    $("full").addEventListener("click", () => this.#full());
    $("play-anyway").addEventListener("click", () => this.#live?.play());
    $("seek").addEventListener("input", (event) => (this.#after.currentTime = event.target.value));
    this.#frame.addEventListener("dblclick", () => this.#full());
    for (const event of ["timeupdate", "progress", "durationchange", "play", "pause", "ended"]) {
      this.#after.addEventListener(event, () => this.#showTime());
    }
    for (const event of ["play", "pause", "seeking", "seeked", "timeupdate", "ratechange"]) {
      this.#after.addEventListener(event, () => this.#follow());
    }
    this.#after.addEventListener("waiting", () => this.#hint());
    this.#after.addEventListener("playing", () => this.#hint());
    this.#after.addEventListener("loadedmetadata", () => this.#shape(this.#after.videoWidth, this.#after.videoHeight));
    this.#after.addEventListener("error", () => this.#job && !this.#live && this.#resultFailed());
    this.#before.addEventListener("error", () => {
      this.#hasBefore = this.#seesBefore = false;
      this.#hear();
      this.#showMeans();
    });
    this.#before.addEventListener("loadeddata", () => {
      // Of some videos a browser plays the sound alone.
      this.#seesBefore = this.#before.videoWidth > 0;
      this.#showMeans();
    });
    this.#mute(true);
    this.#cut();
  }

  get job() {
    return this.#job?.id ?? null;
  }

  // A still frame, on a canvas; its painting comes by `paint`.
  showFrame(canvas) {
    this.#leave();
    this.#canvas.width = canvas.width;
    this.#canvas.height = canvas.height;
    this.#canvas.getContext("2d").drawImage(canvas, 0, 0);
    this.#shape(canvas.width, canvas.height);
    this.#still.hidden = true;
    this.#canvas.hidden = false;
  }

  async paint(url, words) {
    if (this.#job) return;
    this.#still.src = url;
    await this.#still.decode().catch(() => {});
    if (this.#job) return;
    this.#still.alt = words;
    this.#still.hidden = false;
    this.#single(false);
  }

  // A job: the painted part while it grows, else its result. `source` is the video as it was put in.
  showJob(job, source) {
    this.#leave();
    this.#job = job;
    this.#canvas.hidden = this.#still.hidden = true;
    this.#after.hidden = this.#before.hidden = false;
    this.#before.src = source ?? `/api/jobs/${job.id}/source`;
    this.#hasBefore = true;
    if (job.width) this.#shape(job.width, job.height);
    this.update(job);
  }

  update(job) {
    if (this.#job?.id !== job.id) return;
    this.#job = job;
    const shown = this.#live || this.#after.src || this.#unplayable;
    // What was lost once would be lost again with every event of the job.
    if (!shown && (job.result || !this.#lostWhy)) this.#begin(job);
    this.#live?.update(job);
    this.#hear();
    this.#showMeans();
    this.#hint();
    this.#showTime();
  }

  // What plays has its controls, and what is shown beside the original a divider; where nothing is to be
  // seen, the sentence that says why is in the middle.
  #showMeans() {
    if (!this.#job) return;
    const plays = Boolean(this.#live || this.#after.src);
    const painted = plays || Boolean(this.#unplayable);
    $("transport").hidden = !plays;
    this.#single(!painted || !this.#seesBefore);
    this.#frame.classList.toggle("bare", !painted && this.#seesBefore === false);
  }

  #begin(job) {
    if (job.result && (job.ended || this.#lostWhy || !job.live.playable_s)) {
      this.#after.src = `/api/jobs/${job.id}/result`;
      this.#after.play().catch(() => {});
    } else if (job.live.playable_s) {
      const Player = window.ManagedMediaSource ?? window.MediaSource ? LivePlayer : PlaylistPlayer;
      this.#live = new Player(this.#after, job.id, () => this.#total());
      this.#live.addEventListener("progress", () => this.#hint());
      this.#live.addEventListener("lost", (event) => this.#lost(event.detail));
      this.#live.update(job);
    }
    this.#mute();
  }

  // The painted part is gone: the job has ended a while ago, or the browser cannot play it.
  #lost(error) {
    const unplayable = error instanceof Unplayable;
    if (this.#job.result && !unplayable) {
      this.#changeToResult();
      return;
    }
    this.#live.close();
    this.#live = null;
    if (unplayable) {
      this.#showPicture(cannotPlay(this.#job));
      return;
    }
    this.#lostWhy = error instanceof Refused ? error.message : "This browser stopped playing the picture.";
    this.#showMeans();
    this.#hint();
  }

  // The painted part is silent, and of the original beside it nothing is heard where the browser cannot play that.
  #hear() {
    const { result, sound } = this.#job ?? {};
    if (this.#live && result && sound && !this.#hasBefore && !this.#muted) this.#changeToResult();
  }

  // Goes on at the same place.
  #changeToResult() {
    const job = this.#job;
    const { paused, ended } = this.#after;
    const at = this.#after.currentTime + this.#live.late;
    this.#live.close();
    this.#live = null;
    this.#after.src = `/api/jobs/${job.id}/result`;
    this.#after.currentTime = at;
    this.#mute();
    const play = () => this.#after.play().catch(() => {});
    if (!paused) play();
    // What came to the end of the painted part stands still, and the result goes on from there.
    const more = () => this.job === job.id && at < this.#after.duration - GENTLE_S && play();
    if (ended) this.#after.addEventListener("loadedmetadata", more, { once: true });
  }

  // Browsers do not say whether they cannot play a video or did not get it.
  #resultFailed() {
    this.#showPicture(plays(this.#job.codec) ? "The video did not load" : cannotPlay(this.#job));
  }

  // What is painted cannot be played: its first picture stands for it.
  #showPicture(why) {
    this.#unplayable = why;
    this.#after.removeAttribute("src");
    this.#after.hidden = true;
    this.#showMeans();
    this.#still.src = `/api/jobs/${this.#job.id}/thumbnail.jpg`;
    this.#still.alt = `The first painted picture of ${this.#job.video}`;
    this.#still.hidden = false;
    this.#before.currentTime = this.#job.start;
    this.#hint();
  }

  #leave() {
    this.#live?.close();
    this.#live = null;
    this.#job = null;
    this.#unplayable = this.#lostWhy = null;
    this.#hasBefore = false;
    this.#seesBefore = null;
    for (const video of [this.#after, this.#before]) {
      video.pause();
      video.removeAttribute("src");
      video.load();
      video.hidden = true;
    }
    $("transport").hidden = true;
    $("hint").hidden = true;
    this.#frame.classList.remove("bare");
    this.#single(true);
  }

  #single(single) {
    this.#frame.classList.toggle("single", single);
  }

  #shape(width, height) {
    if (!width || !height) return;
    this.#frame.style.aspectRatio = `${width} / ${height}`;
  }

  #cut() {
    const share = $("compare").value;
    this.#frame.style.setProperty("--cut", `${share}%`);
    $("label-before").style.opacity = share > 12 ? 1 : 0;
    $("label-after").style.opacity = share < 88 ? 1 : 0;
  }

  // Keeps the original at the painted picture's time.
  #follow() {
    const [before, after] = [this.#before, this.#after];
    if (!this.#hasBefore || before.readyState < 1) return;
    // A part that was cut out of the video begins at 0.
    const at = after.currentTime + (this.#live?.late ?? 0) + this.#job.start;
    const late = before.currentTime - at;
    const jump = after.paused ? GENTLE_S : FAR_S;
    if (Math.abs(late) > jump && !before.seeking) {
      before.currentTime = at;
      before.playbackRate = after.playbackRate;
    } else {
      const nudge = Math.abs(late) < GENTLE_S ? 0 : -Math.sign(late) * GENTLY;
      before.playbackRate = after.playbackRate * (1 + nudge);
    }
    const playing = !after.paused && !after.ended && after.readyState > 2;
    if (playing && before.paused) before.play().catch(() => {});
    if (!playing && !before.paused) before.pause();
  }

  #toggle() {
    if (this.#after.paused) {
      this.#live?.play();
      this.#after.play().catch(() => {});
    } else {
      this.#after.pause();
    }
  }

  // While a job is being painted its picture is silent, and the original beside it is heard.
  #mute(muted = this.#muted) {
    this.#muted = muted;
    this.#before.muted = muted || !this.#live;
    this.#after.muted = muted || Boolean(this.#live);
    $("mute").classList.toggle("muted", muted);
    $("mute").setAttribute("aria-label", muted ? "Sound is off" : "Sound is on");
    this.#hear();
  }

  #full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.#frame.requestFullscreen) this.#frame.requestFullscreen().catch(() => {});
    // iPhones show nothing but a video that way.
    else if (this.#after.readyState) this.#after.webkitEnterFullscreen?.();
  }

  // The length of what is painted, as far as it is known.
  #total() {
    const { start, duration } = this.#job;
    const rest = this.#before.duration - start;
    const length = Math.min(rest > 0 ? rest : Infinity, duration ?? Infinity);
    return Number.isFinite(length) ? length : null;
  }

  #showTime() {
    const after = this.#after;
    const job = this.#job;
    if (!job) return;
    const end = Number.isFinite(after.duration) ? after.duration : 0;
    const late = this.#live?.late ?? 0;
    const known = Math.max(job.ended ? 0 : (this.#total() ?? 0), job.live.begins_s + job.live.playable_s);
    const total = Math.max(known - late, end) || 1;
    $("seek").max = total;
    $("seek").value = after.currentTime;
    const [now, whole] = [after.currentTime, total].map((time) => clock(time, total));
    $("seek").setAttribute("aria-valuetext", `${now} of ${whole}`);
    $("clock").textContent = `${now} / ${whole}`;
    const playing = !after.paused && !after.ended;
    $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    $("play").firstElementChild.firstElementChild.setAttribute("d", playing ? "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z" : "M8 5.5v13l11-6.5z");
    this.#spans(job, total, late);
  }

  #spans(job, total, late) {
    const { begins_s, playable_s, ahead } = job.live;
    const painted = [[begins_s, begins_s + playable_s, ""], ...ahead.map(([a, b]) => [a, b, "ahead"])];
    const spans = this.#live ? painted : [[late, late + total, ""]];
    $("spans").replaceChildren(
      ...spans.map(([from, to, kind]) => {
        const span = document.createElement("i");
        span.className = kind;
        span.style.left = `${(100 * (from - late)) / total}%`;
        span.style.width = `${(100 * (to - from)) / total}%`;
        return span;
      }),
    );
  }

  // What the picture waits for, said over it.
  #hint() {
    const job = this.#job;
    if (!job) return;
    const wait = this.#live?.wait ?? 0;
    const starved = this.#after.readyState < 3 && !this.#after.paused && !this.#after.ended;
    if (job.error) this.#say(job.error.message);
    else if (job.state === "cancelled" && !this.#live) this.#say("This painting was cancelled.");
    else if (this.#unplayable) {
      const when = job.result ? "download the result" : "the result will be there to download";
      this.#say(`${this.#unplayable}: ${when}.`);
    } else if (this.#lostWhy && !this.#after.src) this.#say(this.#lostWhy);
    else if (!this.#live && !this.#after.src && job.ended) this.#say("There is nothing to show.");
    else if (!this.#live && !this.#after.src) this.#say(`${waitOf(job) ?? "The first frames are being painted"} …`);
    else if (this.#live && wait > 0 && this.#after.paused && !this.#after.played.length) {
      const when = Number.isFinite(wait) ? ` Plays smoothly in ${clock(wait)}.` : "";
      this.#say(`Painting at ${speedOf(job)}.${when}`, true);
    } else if (this.#live && starved && !job.ended) this.#say("Waiting for the painter …");
    else $("hint").hidden = true;
  }

  #say(words, playAnyway = false) {
    $("hint").hidden = false;
    $("hint").firstElementChild.textContent = words;
    $("play-anyway").hidden = !playAnyway;
  }
}

function cannotPlay(job) {
  return `This browser cannot play ${codecOf(job.codec)}`;
}
