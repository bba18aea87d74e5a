// What is to be thought of what the console tells, and how it is said. Nothing here touches the page.

/** The steps of an order: the way there, and the way back. */
export const STEPS = ["PENDING", "RESERVED", "PAID", "CONFIRMED", "REFUNDING", "RELEASING", "CANCELLED"];

const TONES = {
  service: { up: "good", down: "bad", killed: "bad", "crash loop": "bad" },
  breaker: { closed: "good", open: "bad", "forced open": "bad", disabled: "" },
  invariant: { holds: "good", broken: "bad" },
  deadline: { enabled: "good" },
  balance: { ready: "good", empty: "bad" },
  endpoint: { up: "good", down: "bad", broken: "bad", ejected: "bad" },
  shed: { admitting: "good", shedding: "wait", disabled: "" },
  config: { "in force": "good" },
  policy: { current: "good" },
  fallback: { enabled: "good", disabled: "" },
  stale: { enabled: "good", disabled: "" },
  budget: { ample: "good", low: "wait", empty: "bad" },
};

/** good, wait or bad; of a layer or a state that is not known here, nothing. */
export function tone({ layer, state, note, numbers }) {
  const known = TONES[layer];
  if (!known) return "";
  const tone = known[state] ?? "wait";
  if (tone === "good" && (numbers.ready === 0 || numbers.share < 1)) return "wait";
  return tone === "bad" && isShadow(note) ? "wait" : tone;
}

/** The items by what `key` says of each, in the order in which they come. */
export function group(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

/** The service of an instance: `payment` of `payment-2`. */
export const service = (name) => name.replace(/-\d+$/, "");

/** The name of an item, for people. */
export const title = (item) => arrow(item.name);

export const arrow = (name) => name.replaceAll("->", " → ");

/** The number of a step, however it is written. */
export function count(numbers, step) {
  return numbers[step] ?? numbers[step.toLowerCase()] ?? 0;
}

const isShadow = (note) => note?.includes("in shadow") ?? false;

/** `retry_after_seconds` for people. */
export const label = (name) => name.replace(/_(seconds|s|ms)$/, "").replaceAll("_", " ");

/** A number for people, with the unit that its name ends in. */
export function figure(name, number) {
  if (number === null || number === undefined) return "–";
  if (name.endsWith("_seconds")) return number < 1 ? `${Math.round(number * 1000)} ms` : `${trim(number)} s`;
  if (name.endsWith("_s")) return `${trim(number)} s`;
  if (name.endsWith("_ms")) return `${trim(number)} ms`;
  if (/(^|_)(ratio|share|evidence)$/.test(name)) return `${trim(number * 100)} %`;
  return trim(number);
}

const trim = (number) => number.toLocaleString("en", { maximumFractionDigits: Math.abs(number) < 10 ? 2 : 1 });

/** The worst of some tones. */
export const worst = (tones) => ["bad", "wait", "good"].find((tone) => tones.includes(tone)) ?? "";

export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

/** A limit beyond this is none. */
export const UNBOUNDED = 1e9;
