// Brings a part of the page into sight, gently, and at once for those who want nothing to move.
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

export function intoSight(element) {
  element?.scrollIntoView({ block: "nearest", behavior: STILL.matches ? "instant" : "smooth" });
}
