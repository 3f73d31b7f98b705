// Plays a job's painted part while it grows: fragments go into a Media Source as they come.
import { get, patiently, pause, Refused } from "./api.js";
import { Playback, Unplayable } from "./playback.js";

const AHEAD_S = 45;
// What is being shown is always wanted.
const LEAST_AHEAD_S = 1;
const BEHIND_S = 60;
// As exactly as browsers say where something buffered ends.
const EDGE_S = 0.01;

export class LivePlayer extends Playback {
  #job;
  #buffer = null;
  #source = null;
  #segments = [];
  #ended = false;
  #next = 0;
  // So far ahead of the picture it is filled: less where the browser has no room for that.
  #ahead = AHEAD_S;
  #first = new Map();
  #news = Promise.withResolvers?.() ?? deferred();

  // `total` returns the video's length in seconds as far as it is known.
  constructor(video, job, total) {
    super(video, total);
    this.#job = job;
    for (const event of ["seeking", "timeupdate", "waiting"]) {
      video.addEventListener(event, () => this.#wake(), { signal: this.signal });
    }
    // Safari drops what it has no room for, ahead of the picture as well.
    for (const event of ["seeking", "waiting"]) {
      video.addEventListener(event, () => this.#resume(), { signal: this.signal });
    }
    this.guard(this.#run());
  }

  // Something is known to be new about the job.
  update(job) {
    this.pace.update(job);
    this.#wake();
  }

  close() {
    if (this.video.src.startsWith("blob:")) URL.revokeObjectURL(this.video.src);
    super.close();
  }

  async #run() {
    // All that a first picture takes is asked for at once.
    this.#first = new Map(["live/init.mp4", "live/0.m4s"].map((name) => [name, this.#fetch(name)]));
    for (const waiting of this.#first.values()) waiting.catch(() => {});
    await this.#list();
    await this.#open();
    for (;;) {
      this.signal.throwIfAborted();
      const more = await this.#advance();
      this.follow();
      if (more) continue;
      await Promise.race([this.#news.promise, pause(1000, this.signal)]);
      this.#news = deferred();
    }
  }

  // Takes the next segment, or asks for further ones; false when there is nothing to do but wait.
  async #advance() {
    if (this.#next < this.#segments.length) return this.#wanted() && this.#take(this.#next);
    if (!this.#ended) return this.#list();
    this.#finish();
    return false;
  }

  async #take(number) {
    const data = await this.#fetch(`live/${number}.m4s`);
    // Meanwhile the viewer may have gone elsewhere.
    if (number !== this.#next) return true;
    const { start_s, duration_s } = this.#segments[number];
    const fits = await this.#append(data, start_s + duration_s);
    if (number !== this.#next) return true;
    if (!fits) {
      // There is room for it once a part of what lies ahead was shown.
      this.#ahead = Math.max(LEAST_AHEAD_S, 0.8 * (start_s - this.video.currentTime));
      return false;
    }
    this.#next++;
    return true;
  }

  async #open() {
    const Source = window.ManagedMediaSource ?? window.MediaSource;
    const type = `video/mp4; codecs="${this.codec}"`;
    if (!Source.isTypeSupported(type)) {
      throw new Unplayable();
    }
    this.#source = new Source();
    this.video.disableRemotePlayback = true;
    this.video.src = URL.createObjectURL(this.#source);
    await new Promise((done) => this.#source.addEventListener("sourceopen", done, { once: true }));
    this.signal.throwIfAborted();
    this.#buffer = this.#source.addSourceBuffer(type);
    await this.#append(await this.#fetch("live/init.mp4"));
  }

  // Asks what is painted; true when there is more than before.
  async #list() {
    const path = `/api/jobs/${this.#job}/live?first=${this.#segments.length}`;
    const { codec, segments, ended } = await this.#patiently(() => get(path, this.#options));
    this.codec = codec;
    this.#segments.push(...segments);
    this.#ended = ended;
    this.tell("progress");
    return segments.length > 0 || ended;
  }

  async #fetch(name) {
    const first = this.#first.get(name);
    if (this.#first.delete(name)) return first;
    const path = `/api/jobs/${this.#job}/${name}`;
    return this.#patiently(async () => {
      const answer = await fetch(path, this.#options).catch((error) => {
        if (error.name === "AbortError") throw error;
        throw new Refused(0, "The studio does not answer.");
      });
      if (!answer.ok) throw new Refused(answer.status, "The painted part is gone.");
      return answer.arrayBuffer();
    });
  }

  get #options() {
    return { signal: this.signal };
  }

  #patiently(work) {
    return patiently(work, this.signal, 600);
  }

  #wanted() {
    const at = Math.max(this.video.currentTime, this.#segments[0].start_s);
    return this.#segments[this.#next].start_s < at + this.#ahead;
  }

  // False where the browser has no room for it, even in place of what lies after `end`: the viewer went back.
  async #append(data, end = Infinity) {
    await this.#idle();
    await this.#tidy();
    if (!this.#fit(data)) {
      await this.#remove(0, this.video.currentTime - 5);
      if (!this.#fit(data)) {
        const { buffered } = this.#buffer;
        if (buffered.length) await this.#remove(end, buffered.end(buffered.length - 1));
        if (!this.#fit(data)) return false;
      }
    }
    await this.#idle();
    return true;
  }

  #fit(data) {
    try {
      this.#buffer.appendBuffer(data);
      return true;
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      return false;
    }
  }

  async #tidy() {
    const { buffered } = this.#buffer;
    const keep = this.video.currentTime - BEHIND_S;
    if (buffered.length && buffered.start(0) < keep - BEHIND_S) await this.#remove(0, keep);
  }

  async #remove(from, to) {
    if (to <= from) return;
    this.#buffer.remove(from, to);
    await this.#idle();
  }

  async #idle() {
    if (this.#buffer.updating) {
      await new Promise((done) => this.#buffer.addEventListener("updateend", done, { once: true }));
    }
    // The buffer of a player that was closed is of no use any more.
    this.signal.throwIfAborted();
  }

  #finish() {
    if (this.#source.readyState !== "open" || this.#buffer.updating) return;
    this.#source.endOfStream();
  }

  // Before the picture begins there is nothing to show, and a browser would wait for it. It takes no notice
  // before something is buffered.
  #skipToPicture() {
    const { start_s } = this.#segments[0];
    if (this.video.currentTime < start_s - EDGE_S) this.video.currentTime = start_s;
  }

  // Goes on from where that ends which is buffered at the picture's place.
  #resume() {
    if (!this.#segments.length) return;
    this.#skipToPicture();
    const at = this.video.currentTime;
    const { buffered } = this.video;
    let end = at;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= at && at <= buffered.end(i) + EDGE_S) end = buffered.end(i);
    }
    const found = Math.max(0, this.#segments.findLastIndex((segment) => segment.start_s <= end));
    const { start_s, duration_s } = this.#segments[found];
    this.#next = end < start_s + duration_s - EDGE_S ? found : found + 1;
  }

  follow() {
    const { buffered } = this.video;
    if (buffered.length) this.#skipToPicture();
    this.pace.follow(buffered.length ? buffered.end(buffered.length - 1) : 0, this.#ended);
    this.tell("progress");
  }

  #wake() {
    this.#news.resolve();
  }
}

function deferred() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

