// A sign for each thing that a colour says as well, so that nobody has to tell colours apart.
import { shape } from "./elements.js";

/** What can become of a customer's journey, in words. The order is that of the legend. */
export const OUTCOMES = {
  ok: "ok",
  retried: "saved by retry",
  shed: "shed",
  stale: "stale",
  hedged: "saved by hedge",
  slow: "slow",
  pending: "pending",
  idle: "at rest",
  failed: "failed",
};

/** On a grid of sixteen by sixteen. */
const PATHS = {
  ok: "M3.5 8.5 6.7 11.5 12.5 4.8",
  stale: "M8 2.8a5.2 5.2 0 1 0 .01 0M8 5.2V8l2.2 1.6",
  pending: "M3.6 8h.01M8 8h.01M12.4 8h.01",
  retried: "M12.7 8.6A4.8 4.8 0 1 1 11.2 4.4M11.6 1.9v2.9H8.7",
  hedged: "M2.8 5.2h8.4M8.9 2.8l2.4 2.4-2.4 2.4M4.8 10.8h8.4M10.9 8.4l2.4 2.4-2.4 2.4",
  shed: "M8 2.8a5.2 5.2 0 1 0 .01 0M4.4 11.6 11.6 4.4",
  failed: "M4 4l8 8M12 4l-8 8",
  slow: "M4 2.8h8M4 13.2h8M5.2 2.8c0 4.6 5.6 5.8 5.6 10.4M10.8 2.8c0 4.6-5.6 5.8-5.6 10.4",
  idle: "M6.2 8h3.6",
  good: "M3.5 8.5 6.7 11.5 12.5 4.8",
  wait: "M8 2.8a5.2 5.2 0 1 0 .01 0M8 5.2V8l2.2 1.6",
  bad: "M4 4l8 8M12 4l-8 8",
  fault: "M9 2 4.5 8.8h3L6.8 14l4.7-7h-3z",
  cleared: "M3.5 8.5 6.7 11.5 12.5 4.8",
  protection: "M8 2.2 13 4v4c0 3-2 5-5 6-3-1-5-3-5-6V4z",
  breaker: "M2 10h3.4l6-4.6M10.8 10H14",
  incident: "M8 3v6M8 12.6v.01",
  load: "M3 13V9M8 13V6M13 13V3",
  restart: "M12.7 8.6A4.8 4.8 0 1 1 11.2 4.4M11.6 1.9v2.9H8.7",
  scene: "M5 3v10l8-5z",
};

/** The sign of an outcome, a tone or a kind of pin. What it says is said beside it in words. */
export function glyph(name) {
  const path = shape("path", { d: PATHS[name] ?? PATHS.idle });
  return shape("svg.glyph", { viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

/** The same within a picture, `size` wide, with its left upper corner at a place. */
export function sign(name, x, y, size) {
  const path = shape("path", { d: PATHS[name] ?? PATHS.idle });
  return shape("g.glyph", { transform: `translate(${x} ${y}) scale(${size / 16})` }, path);
}

/** Makes a sign another one. */
export function turn(sign, name) {
  const path = sign.firstElementChild, d = PATHS[name] ?? PATHS.idle;
  if (path.getAttribute("d") !== d) path.setAttribute("d", d);
}
