// What the players of a job's painted part have in common: a video and its pace, and what they tell.
import { Pace } from "./pace.js";

// The browser cannot play what is painted.
export class Unplayable extends Error {}

export class Playback extends EventTarget {
  #stop = new AbortController();

  // `total` returns the video's length in seconds as far as it is known; `slowest` is `Pace`'s.
  constructor(video, total, slowest) {
    super();
    this.video = video;
    this.pace = new Pace(video, total, slowest);
  }

  // Aborted when nobody watches any more.
  get signal() {
    return this.#stop.signal;
  }

  // By how many seconds the player's clock is behind the video's.
  get late() {
    return 0;
  }

  get wait() {
    return this.pace.wait;
  }

  play() {
    this.pace.force();
    this.follow();
  }

  close() {
    this.#stop.abort();
    this.video.removeAttribute("src");
    this.video.load();
  }

  // Tells of whatever ends `running`, but for `close`.
  guard(running) {
    running.catch((error) => this.tell("lost", error));
  }

  // What is closed tells nothing any more: its video may be another player's already.
  tell(type, error) {
    if (this.signal.aborted) return;
    this.dispatchEvent(new CustomEvent(type, { detail: error }));
  }
}
