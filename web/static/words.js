// Figures and states in words.

const BRIEF_S = 2;

// A time of what takes `total` seconds, as a clock shows it: in hundredths of a second where that is brief.
export function clock(seconds, total = Infinity) {
  const digits = total < BRIEF_S ? 2 : 0;
  const shown = Math.max(0, Number(seconds.toFixed(digits)));
  const hours = Math.floor(shown / 3600);
  const minutes = Math.floor((shown % 3600) / 60);
  const rest = (shown % 60).toFixed(digits).padStart(digits ? 5 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

const SIZES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [0, "bytes"]];

export function sizeOf(bytes) {
  const [least, unit] = SIZES.find(([least]) => bytes >= least);
  const size = least ? bytes / least : bytes;
  return `${size.toFixed(least && size < 10 ? 1 : 0)}\u00a0${unit}`;
}

// When something was, as people of the browser's language write it: the year only of other years.
export function momentOf(time) {
  const year = time.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  const shown = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", ...year };
  return new Intl.DateTimeFormat(undefined, shown).format(time);
}

// Seconds of a time as people write it, such as 1:05 or 12.5s; NaN where it is another thing.
export function secondsOf(text) {
  return /^[\d:.]+s?$/.test(text) ? text.replace("s", "").split(":").reduce((sum, part) => 60 * sum + Number(part), 0) : NaN;
}

export function speedOf(job) {
  const frames = job.frames_per_s;
  return job.live.speed ? `${Math.round(job.live.speed * 100)}\u00a0% of playing speed` : `${frames ?? "?"} frames/s`;
}

const CODECS = {
  h264: { title: "H.264", type: "avc1.640028" },
  hevc: { title: "HEVC", type: "hvc1.1.6.L93.B0" },
  av1: { title: "AV1", type: "av01.0.04M.08" },
};

export function codecOf(codec) {
  return CODECS[codec]?.title ?? codec;
}

// Whether this browser can show what is painted in a codec.
export function plays(codec) {
  return document.createElement("video").canPlayType(`video/mp4; codecs="${CODECS[codec]?.type}"`) !== "";
}

export function titleOf(style, styles) {
  return style
    .split(",")
    .map((part) => {
      const [blend, time] = part.split("@");
      const [name, weight] = blend.split(":");
      const words = [styles.find((one) => one.name === name)?.title ?? name];
      if (weight) words.push(`${Math.round(weight * 100)}\u00a0%`);
      if (time && time !== "0s") words.push(`from ${time}`);
      return words.join(" ");
    })
    .join(", ");
}

const STATES = {
  splitting: "Painting",
  stylizing: "Painting",
  assembling: "Joining the frames",
  done: "Done",
  degraded: "Done, with losses",
  failed: "Failed",
  cancelled: "Cancelled",
};

function framesOf(count) {
  return count === 1 ? "1 frame" : `${count} frames`;
}

export function shareOf(job) {
  if (job.state === "done" || job.state === "degraded") return 1;
  return job.frames ? job.frames_painted / job.frames : null;
}

// What keeps a job from moving, in words; null while it moves.
export function waitOf(job) {
  if (job.waiting) return `Waiting for ${job.waiting}`;
  return job.state === "queued" ? "Waiting for its turn" : null;
}

function doingOf(job) {
  const wait = waitOf(job);
  if (wait) return wait;
  return job.frames_painted || job.ended ? STATES[job.state] : "Reading the video";
}

export function stateOf(job, reason = true) {
  const words = [doingOf(job)];
  const share = shareOf(job);
  if (!job.ended) {
    if (share !== null) words.push(`${Math.floor(share * 100)}\u00a0%`);
    else if (job.frames_painted) words.push(framesOf(job.frames_painted));
    if (job.frames_per_s && !job.waiting) words.push(`${job.frames_per_s} frames/s`);
    if (job.seconds_left !== null && !job.waiting) words.push(`${clock(job.seconds_left)} left`);
  } else if (job.frames && job.result) {
    words.push(framesOf(job.frames));
  }
  if (!reason) return words.join(" · ");
  if (job.error) words.push(job.error.message);
  else if (job.warnings.length) words.push(job.warnings[0]);
  return words.join(" · ");
}
