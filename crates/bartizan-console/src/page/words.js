// How names and numbers are told to people. Nothing here touches the page.

/** `retry_after_seconds` for people. */
export const label = (name) => name.replace(/_(seconds|bytes|s|ms)$/, "").replaceAll("_", " ");

/** The unit that a name ends in. */
export const unit = (name) => /_(seconds|s)$/.test(name) ? "s" : /_ms$/.test(name) ? "ms" : /bytes(_|$)/.test(name) ? "bytes" : "";

/** Whether a number stands for none: no program counts so far. */
export const isEndless = (number) => Math.abs(number) >= Number.MAX_SAFE_INTEGER;

/** A number for people, with the unit that its name ends in. */
export function figure(name, number) {
  if (number === null || number === undefined) return "–";
  if (isEndless(number)) return "no limit";
  if (unit(name) === "s") return time(number);
  if (unit(name) === "ms") return time(number / 1000);
  if (unit(name) === "bytes") return bytes(number);
  if (/(^|_)(ratio|share|rejection|cpu)$/.test(name)) return `${trim(number * 100)} %`;
  return trim(number);
}

/** A length of time. */
export function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (size < 0.01) return `${trim(seconds * 1000)} ms`;
  if (size < 1) return `${Math.round(seconds * 1000)} ms`;
  if (size < 120) return `${trim(seconds)} s`;
  if (size < 7200) return `${Math.round(seconds / 60)} min`;
  return `${trim(seconds / 3600)} h`;
}

function bytes(number) {
  if (number < 1024) return `${trim(number)} B`;
  if (number < 1 << 20) return `${trim(number / 1024)} KiB`;
  return `${trim(number / (1 << 20))} MiB`;
}

/** So many in a second. */
export const rate = (number) => `${number > 0 && number < 0.05 ? "< 0.1" : trim(number, 1)}/s`;

const trim = (number, digits = 2) => number.toLocaleString("en", { maximumFractionDigits: Math.abs(number) < 10 ? digits : Math.abs(number) < 100 ? 1 : 0 });

/** The time of day. */
export const clock = (at) => new Date(at).toLocaleTimeString("en", { hour12: false });

export const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}` : "");

/** The name of a handle in two parts: the one of many, which follows the slash, and what they have in common. */
export function title({ layer, name: written }) {
  const name = written.replaceAll("->", " → ");
  const slash = name.indexOf("/");
  if (slash < 1) return { own: name, common: "" };
  const own = name.slice(slash + 1);
  // An address needs no scheme to be known.
  return { own: layer === "endpoint" ? own.replace(/^[a-z+]+:\/\//, "").replace(/\/$/, "") : own, common: name.slice(0, slash) };
}
