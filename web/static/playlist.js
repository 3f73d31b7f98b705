// Plays a job's painted part while it grows by the browser's own player of HTTP Live Streaming,
// where there is no Media Source: on iPhones before iOS 17.1.
import { call, patiently, pause } from "./api.js";
import { Playback, Unplayable } from "./playback.js";

const TYPE = "application/vnd.apple.mpegurl";
// These players are not slowed down: not all of them can be, and they wait by themselves.
const SPEED = 1;
// So often a player may fail at one place: then it is not the studio that is away.
const TRIES = 5;
const MORE_S = 1;
const STILL_MS = 3000;

export class PlaylistPlayer extends Playback {
  #address;
  #job = null;
  #halt = () => {};

  // `total` returns the video's length in seconds as far as it is known.
  constructor(video, job, total) {
    super(video, total, SPEED);
    this.#address = `/api/jobs/${job}/live.m3u8`;
    this.guard(this.#run());
  }

  // Players of playlists count from the first picture, also where it begins late.
  get late() {
    return this.#job?.live.begins_s ?? 0;
  }

  // Something is known to be new about the job.
  update(job) {
    this.pace.update(job);
    this.#job = job;
    this.follow();
  }

  async #run() {
    const video = this.video;
    const { signal } = this;
    if (!video.canPlayType(TYPE)) throw new Unplayable();
    for (const event of ["timeupdate", "ended"]) video.addEventListener(event, () => this.follow(), { signal });
    video.addEventListener("error", () => this.#halt(), { signal });
    let [at, plays, tries] = [0, false, 0];
    while (tries < TRIES) {
      // This throws when the job's segments are gone for good.
      await patiently(() => call(this.#address, { signal }), signal, 600);
      const halted = new Promise((halt) => (this.#halt = halt));
      video.src = this.#address;
      if (at) video.currentTime = at;
      if (plays) video.play().catch(() => {});
      this.follow();
      await Promise.race([halted, this.#stands()]);
      if (!video.error && this.#job.result) return this.tell("lost");
      tries = video.currentTime > at ? 1 : tries + 1;
      at = video.currentTime;
      plays = video.ended || !video.paused;
      if (video.error) await pause(1000, signal);
    }
    throw new Unplayable();
  }

  // Returns when the picture stands still although all of it is there.
  async #stands() {
    const video = this.video;
    let before;
    do {
      before = video.currentTime;
      await pause(STILL_MS, this.signal);
    } while (video.currentTime !== before || video.paused || !this.#job.result);
  }

  follow() {
    const video = this.video;
    if (!video.src) return;
    const { ended, live, result } = this.#job;
    // Some players do not ask for a playlist again, and take the end of what was there for the video's.
    if (video.ended && (result || live.playable_s > video.currentTime + MORE_S)) this.#halt();
    else this.pace.follow(live.playable_s, ended);
    this.tell("progress");
  }
}
