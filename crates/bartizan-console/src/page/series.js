// What the numbers were in the last minutes: rates and quantiles, and the lines that are drawn of them.
import { lines, reasons, refuses } from "./mind.js";
import { shape } from "./elements.js";
import { rate, time } from "./words.js";

/** How far back the lines go, and over how long a time a rate is taken, in milliseconds. */
const SPAN = 300_000, OVER = 5_000;
const QUANTILES = [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]];

const known = new Map();

/** Takes what a handle shows at an instant. Samples are a second apart, or more where there are many handles. */
export function take(key, it, at, apart) {
  let one = known.get(key);
  if (!one) known.set(key, (one = { samples: [] }));
  const { samples } = one;
  const raw = { counts: [refuses(it), ...lines(it.layer).map((line) => line.of(it.numbers))], times: Object.values(it.times ?? {}).map(({ buckets }) => buckets), reasons: reasons(it) };
  const before = lookBack(samples, at);
  const refusing = before ? per(raw.counts[0] - before.raw.counts[0], at - before.at) : 0;
  one.now = { at, shown: shown(it, raw, before, at), refusing, mostly: refusing ? most(raw.reasons, before.raw.reasons) : undefined };
  const last = samples.at(-1);
  if (last && at - last.at < apart) return;
  samples.push({ at, raw, shown: one.now.shown });
  while (samples[0].at < at - SPAN) samples.shift();
  // Nobody looks further back to these.
  const old = samples.at(-Math.ceil((3 * OVER) / apart));
  if (old) old.raw.times = old.raw.reasons = [];
}

/** Forgets the handles that are gone. */
export function forget(keys) {
  for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
}

/** Calls that the handle refuses in a second, and mostly for which reason. */
export const refusing = (key) => {
  const { refusing, mostly } = known.get(key).now;
  return [refusing, mostly];
};

/** The reason that has grown the most. */
function most(reasons, before) {
  const earlier = new Map(before);
  const grown = reasons.map(([name, count]) => [name, count - (earlier.get(name) ?? 0)]).filter(([, count]) => count > 0);
  return grown.sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** The newest sample that is old enough to take a rate from, or else the oldest. */
function lookBack(samples, at) {
  for (let n = samples.length - 1; n >= 0; n--) if (at - samples[n].at >= OVER) return at - samples[n].at < 4 * OVER ? samples[n] : undefined;
  return samples[0];
}

/** What was counted anew after a restart is no rate. */
const per = (count, millis) => (count > 0 && millis > 0 ? (count * 1000) / millis : 0);

/** The values of all lines. */
function shown(it, raw, before, at) {
  const values = lines(it.layer).map((line, n) => {
    if (line.kind !== "rate") return raw.counts[n + 1];
    return before ? per(raw.counts[n + 1] - before.raw.counts[n + 1], at - before.at) : null;
  });
  const quantiles = raw.times.map((buckets, n) => between(buckets, before?.raw.times[n]));
  return [...values, ...quantiles.flat()];
}

/** The quantiles of what was counted between two looks; without an earlier one, of all. */
function between(buckets, before) {
  const counted = new Map((before ?? []).map(([end, count]) => [end, count]));
  const fresh = buckets.map(([end, count]) => [end, count - (counted.get(end) ?? 0)]).filter(([, count]) => count > 0);
  const all = fresh.reduce((sum, [, count]) => sum + count, 0);
  return QUANTILES.map(([, quantile]) => {
    let seen = 0;
    const reached = fresh.find(([, count]) => (seen += count) >= Math.max(1, quantile * all));
    return reached ? reached[0] ?? fresh.at(-2)?.[0] ?? null : null;
  });
}

/** The lines of a handle, each with its label, what it is now, and how it was; in groups that share a scale. */
export function drawn(key, it) {
  const one = known.get(key);
  if (!one) return [];
  const values = (n) => [...one.samples.map(({ at, shown }) => [at, shown[n]]), [one.now.at, one.now.shown[n]]];
  const all = lines(it.layer).map((line, n) => ({ ...line, values: values(n), now: one.now.shown[n] }));
  // What was nothing all the time is not drawn.
  const own = all.filter((line) => line.values.some(([, value]) => value));
  const groups = own.length ? [{ name: own[0].kind === "time" ? "latency" : "rate", lines: own }] : [];
  Object.keys(it.times ?? {}).forEach((name, t) => {
    const quantiles = QUANTILES.map(([label], q) => all.length + 3 * t + q).map((n, q) => ({ label: QUANTILES[q][0], kind: "time", tone: `q${q}`, values: values(n), now: one.now.shown[n] }));
    if (it.times[name].count) groups.push({ name, lines: quantiles });
  });
  return groups;
}

export const told = ({ kind, now }) => (kind === "rate" ? rate(now ?? 0) : kind === "time" ? (now ? time(now) : "–") : String(now));

const WIDTH = 200, HEIGHT = 36;

/** Draws lines into a picture, all to one scale. */
export function sparkline(svg, lines) {
  if (!svg.firstChild) svg.append(shape("path", { class: "base", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }));
  while (svg.childElementCount - 1 < lines.length) svg.append(shape("path"));
  while (svg.childElementCount - 1 > lines.length) svg.lastElementChild.remove();
  const now = Math.max(...lines.map((line) => line.values.at(-1)[0])), first = Math.min(...lines.map((line) => line.values[0][0]));
  const span = Math.min(SPAN, Math.max(60_000, now - first));
  const top = Math.max(1e-9, ...lines.flatMap((line) => line.values.map(([, value]) => value ?? 0))) * 1.05;
  lines.forEach((line, n) => {
    const path = svg.children[n + 1];
    const d = way(line.values, now - span, span, top);
    if (path.getAttribute("d") !== d) path.setAttribute("d", d);
    const name = `line ${line.tone ?? ""}`;
    if (path.getAttribute("class") !== name) path.setAttribute("class", name);
  });
}

/** The way of a line. It breaks where nothing was seen for long. */
function way(values, from, span, top) {
  let way = "", last;
  for (const [at, value] of values) {
    if (value === null || value === undefined || at < from) { last = undefined; continue; }
    const x = (((at - from) / span) * WIDTH).toFixed(1), y = (HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1);
    way += last !== undefined && at - last < 15_000 ? `L${x} ${y}` : `M${x} ${y}h0`;
    last = at;
  }
  return way;
}
