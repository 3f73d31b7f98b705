// When to begin playing a video that is still being painted, and how fast, so that it need not stop.
const START_S = 1.6;
const SLOWEST = 0.5;
const RESERVE_S = 12;

export class Pace {
  // In how many seconds playing could begin and go on to the end without a stop.
  wait = 0;
  #video;
  #total;
  #slowest;
  #speed = null;
  #begins = 0;
  #playable = 0;
  #over = false;
  #forced = false;
  #started = false;

  // `total` returns when the video ends, in seconds, as far as it is known. The video is played at
  // `slowest` times its speed at least; 1 leaves its speed alone.
  constructor(video, total, slowest = SLOWEST) {
    this.#video = video;
    this.#total = total;
    this.#slowest = slowest;
  }

  // Something is known to be new about the job.
  update(job) {
    this.#speed = job.live.speed;
    this.#begins = job.live.begins_s;
    this.#playable = job.live.playable_s;
    this.#over = job.ended;
  }

  // The viewer does not want to wait.
  force() {
    this.#forced = true;
  }

  // `end` is up to where the video can be played, in seconds; `complete` says that nothing follows.
  follow(end, complete) {
    const video = this.#video;
    const ahead = end - video.currentTime;
    const speed = complete || this.#over ? 1 : (this.#speed ?? 1);
    this.wait = this.#smoothIn(speed);
    const starts = !this.#started && (complete ? ahead > 0 : ahead >= START_S) && (this.wait <= 0 || this.#forced);
    if (!this.#started && !starts) return;
    this.#started = true;
    // Slightly slower than painting, where painting is slower than the video: better than stops.
    const rate = speed >= 1 || ahead > RESERVE_S ? 1 : Math.max(this.#slowest, speed * 0.96);
    if (Math.abs(video.playbackRate - rate) > 0.02) video.playbackRate = rate;
    if (starts) video.play().catch(() => {});
  }

  #smoothIn(speed) {
    if (speed >= this.#slowest) return 0;
    const total = this.#total();
    if (!total) return Infinity;
    return Math.max(0, ((total - this.#begins) * (1 - speed) - this.#playable) / speed);
  }
}
