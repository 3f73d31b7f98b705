// A picture of a video file as plain pixels, and its paintings by the studio.
import { call } from "./api.js";

const WAIT_MS = 6000;
const { HAVE_CURRENT_DATA } = HTMLMediaElement;

// Returns a canvas with the picture shown at a third of the video; null if the browser cannot read it.
export async function frameOf(url, side) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.preload = "auto";
  video.src = url;
  try {
    await happens(video, "loadedmetadata");
    const at = Number.isFinite(video.duration) ? video.duration / 3 : 0;
    video.currentTime = at;
    await happens(video, "seeked");
    // iPhones seek before there is anything to show.
    if (video.readyState < HAVE_CURRENT_DATA) await happens(video, "loadeddata");
    if (!video.videoWidth) return null;
    const canvas = drawn(video, video.videoWidth, video.videoHeight, side);
    canvas.seconds = video.duration;
    return canvas;
  } catch {
    return null;
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

export async function pictureOf(url, side) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return drawn(image, image.naturalWidth, image.naturalHeight, side);
}

export function smaller(canvas, side) {
  return drawn(canvas, canvas.width, canvas.height, side);
}

function drawn(source, width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  // The painter takes even sides.
  canvas.width = Math.max(16, Math.round((width * scale) / 2) * 2);
  canvas.height = Math.max(16, Math.round((height * scale) / 2) * 2);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// Returns the address (blob:) of a canvas painted as asked for; the caller revokes it.
export async function painted(canvas, request, signal) {
  const { width, height } = canvas;
  const query = new URLSearchParams({ ...request, width, height });
  const answer = await call(`/api/previews?${query}`, {
    method: "POST",
    body: pixelsOf(canvas),
    signal,
  });
  return URL.createObjectURL(await answer.blob());
}

function pixelsOf(canvas) {
  const { width, height } = canvas;
  const rgba = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}

function happens(element, event) {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error("slow")), WAIT_MS);
    element.addEventListener(event, () => (clearTimeout(timer), done()), { once: true });
    element.addEventListener("error", () => (clearTimeout(timer), fail(element.error)), { once: true });
  });
}
