// What is to be thought of what the handles show: which layers there are, how well they are, and what to say of them. Nothing here
// touches the page; of a layer that is not known here, all is still shown.
import { figure, isEndless, label, rate, time, title } from "./words.js";

const sum = (...names) => (numbers) => names.reduce((all, name) => all + (numbers[name] ?? 0), 0);

/** All numbers of a family: `refused`, or the sum of `refused_…` where there is no total. */
const family = (name) => (numbers) => numbers[name] ?? Object.entries(numbers).filter(([key]) => key.startsWith(`${name}_`)).reduce((all, [, number]) => all + number, 0);

const REFUSED = { label: "refused", kind: "rate", tone: "bad", of: family("refused") };

/**
 * For each layer: its states by tone, the lines of its sparkline, its gauges as `[name, of how many, label]`, and the numbers that are
 * shown first, and why it is not well. `note` says what its note is, if that is no reason. `refuses` counts calls that were refused, if that is more than `refused`.
 */
const LAYERS = {
  meter: {
    states: { enabled: "good", disabled: "off" },
    lines: [
      { label: "calls", kind: "rate", of: sum("successes", "failures", "throttled", "ignored", "abandoned") },
      { label: "failures", kind: "rate", tone: "bad", of: sum("failures") },
    ],
    first: ["in_flight", "throttled", "abandoned"],
  },
  breaker: {
    states: { closed: "good", open: "bad", "forced open": "bad", "half-open": "wait", disabled: "off" },
    lines: [REFUSED],
    gauges: [["keys", "max_keys", "keys"]],
    first: ["failure_ratio", "slow_ratio", "open", "trips", "refused", "shadowed"],
  },
  limit: {
    states: { open: "good", spent: "wait", crowded: "wait", off: "off" },
    lines: [REFUSED],
    gauges: [["remaining", "burst", "left"], ["keys", "max_keys", "keys"]],
    first: ["waiting", "refused", "shadowed", "overflowed"],
  },
  shed: {
    states: { admitting: "good", shedding: "bad", shadow: "off", disabled: "off" },
    lines: [{ label: "admitted", kind: "rate", of: sum("admitted") }, REFUSED],
    gauges: [["in_flight", "limit", "in flight"], ["queued", "queue_places", "queued"]],
    first: ["queued", "queue_age_seconds", "predicted_wait_seconds", "cpu", "refused", "shadowed"],
  },
  throttle: {
    states: { passing: "good", throttling: "bad", disabled: "off" },
    lines: [REFUSED],
    first: ["rejection", "requests", "accepts", "refused", "shadowed"],
  },
  deadline: {
    states: { enabled: "good", withholding: "wait", disabled: "off" },
    refuses: sum("refused", "ended"),
    lines: [REFUSED, { label: "ended late", kind: "rate", tone: "wait", of: sum("ended") }],
    first: ["total_seconds", "learnt_seconds", "refused", "ended", "withheld"],
  },
  retry: {
    states: { enabled: "good", exhausted: "wait", disabled: "off" },
    refuses: () => 0,
    lines: [{ label: "retries", kind: "rate", of: sum("retries") }, { label: "out of budget", kind: "rate", tone: "bad", of: sum("out_of_budget") }],
    gauges: [["budget_left", "budget_cap", "tokens left"]],
    first: ["recovered", "out_of_tries", "out_of_time", "out_of_budget", "not_repeatable"],
  },
  hedge: {
    states: { enabled: "good", learning: "good", disabled: "off" },
    refuses: () => 0,
    lines: [{ label: "sent", kind: "rate", of: sum("hedges") }, { label: "won", kind: "rate", tone: "good", of: sum("won") }],
    gauges: [["budget_left", "budget_cap", "tokens left"]],
    first: ["delay_seconds", "hedges", "won", "unpaid"],
  },
  budget: {
    states: { ample: "good", low: "wait", empty: "wait" },
    refuses: () => 0,
    lines: [{ label: "retries", kind: "rate", of: sum("retries") }, { label: "unpaid", kind: "rate", tone: "bad", of: sum("unpaid_retries", "unpaid_hedges") }],
    gauges: [["tokens", "cap", "tokens left"]],
    first: ["hedges", "unpaid_retries", "unpaid_hedges", "given_up"],
  },
  balance: {
    states: { ready: "good", panic: "bad", empty: "bad", disabled: "off" },
    note: "choice by",
    lines: [{ label: "calls", kind: "rate", of: sum("successes", "failures", "unanswered") }, { label: "failures", kind: "rate", tone: "bad", of: sum("failures", "unanswered") }],
    gauges: [["usable", "endpoints", "usable"]],
    first: ["in_flight", "ejected", "draining", "waiting", "ejections", "withheld", "refused", "moved"],
  },
  endpoint: {
    states: { up: "good", warming: "wait", draining: "wait", ejected: "bad", down: "bad", broken: "bad", gone: "off" },
    lines: [{ label: "latency", kind: "time", of: (numbers) => numbers.latency_seconds ?? 0 }],
    first: ["in_flight", "heartbeat_age_seconds", "ejections", "failures"],
  },
  stale: {
    states: { enabled: "good", degraded: "wait", disabled: "off" },
    refuses: () => 0,
    lines: [{ label: "reads", kind: "rate", of: sum("reads") }, { label: "stale", kind: "rate", tone: "wait", of: sum("stale_if_error") }],
    why: ({ stale_if_error: stale }) => stale && `${stale.toLocaleString("en")} stale answers instead of failures so far`,
    first: ["hits", "stale_if_error", "stale_while_revalidate", "entries", "bytes"],
  },
  fallback: {
    states: { enabled: "good", degraded: "wait", disabled: "off" },
    refuses: () => 0,
    lines: [{ label: "used", kind: "rate", tone: "wait", of: sum("used") }],
    why: ({ used }) => used && `${used.toLocaleString("en")} answers instead of failures so far`,
    first: ["used", "declined", "failed"],
  },
  fault: { states: { off: "", idle: "", active: "wait" }, refuses: () => 0, why: ({ faults }) => faults && `${faults} ${faults === 1 ? "fault" : "faults"} on purpose`, first: ["faults"] },
  policy: { states: { current: "good", outdated: "wait" }, refuses: () => 0, first: ["version", "age_seconds", "refused", "unused"] },
  trace: { states: { enabled: "good", disabled: "off" }, refuses: () => 0, first: ["malformed"] },
};

/** The sections of the page, and the layers of each. What is of no other stands in one of its own. */
export const SECTIONS = [
  ["Traffic", ["meter"]],
  ["Breakers", ["breaker"]],
  ["Limits", ["limit", "shed", "throttle", "deadline"]],
  ["Second chances", ["retry", "hedge", "budget"]],
  ["Endpoints", ["balance", "endpoint"]],
  ["Instead of a failure", ["fallback", "stale"]],
  ["Policies, faults and traces", ["policy", "fault", "trace"]],
];

/** Texts for the states that need others than `is …`: of one handle, and of several. */
const SAID = {
  "half-open": ["probes", "probe"],
  shedding: ["sheds load", "shed load"],
  throttling: ["holds calls back", "hold calls back"],
  exhausted: ["has no budget left", "have no budget left"],
  panic: ["uses endpoints that are ill", "use endpoints that are ill"],
  degraded: ["answers instead of failing", "answer instead of failing"],
  active: ["fails on purpose", "fail on purpose"],
  crowded: ["has more keys than places", "have more keys than places"],
  withholding: ["would refuse more", "would refuse more"],
  recovering: ["comes back", "come back"],
  warming: ["warms up", "warm up"],
  refusing: ["refuses calls", "refuse calls"],
  outdated: ["keeps what was in force", "keep what was in force"],
};

const FINE = /^(up|ok|on|ready|enabled|closed|current|holds|in force|counted|healthy)$/, ILL = /^(down|broken|failed|killed|open|empty|crash loop|refused)$/;

export const of = (layer) => LAYERS[layer] ?? {};
export const lines = (layer) => of(layer).lines ?? [];
export const refuses = ({ layer, numbers }) => (of(layer).refuses ?? REFUSED.of)(numbers);

/** The numbers that tell why calls were refused, by their names. Those by priority count the same calls once more. */
export const reasons = ({ numbers }) => Object.entries(numbers).filter(([name]) => /^(refused|ended)_(?!critical|normal|sheddable)/.test(name));
export const reason = (name) => label(name.replace(/^refused_/, ""));
/** The gauges that it has, as things are. */
export function gauged(it) {
  const { layer, numbers } = it;
  if (tone(it) === "off") return [];
  const isShown = ([name, most]) => numbers[most] > 0 && !isEndless(numbers[most]) && (numbers[name] > 0 || numbers[name] === 0 && !EMPTY.has(name));
  return (of(layer).gauges ?? []).filter(isShown);
}

/** Of these, none is nothing to tell. */
const EMPTY = new Set(["keys", "queued"]);
export const isShadow = ({ state, note }) => state === "shadow" || (note?.includes("in shadow") ?? false);

/** When it ends what it does, in seconds: until it probes, or until it is let in again. */
export const pause = ({ state, numbers }) => state === "open" ? numbers.retry_after_seconds : state === "ejected" ? numbers.ejected_for_seconds : undefined;

/** What it does then. */
export const then = ({ layer }) => (layer === "breaker" ? "probes" : "comes back");
export const countdown = (what, left) => (left > 0 ? `${what} in ${left < 120 ? `${Math.ceil(left)} s` : time(left)}` : `${what} at the next call`);

/** good, wait, bad or off; nothing of what is not known. */
function tone(it) {
  const states = of(it.layer).states;
  const known = states ? states[it.state] ?? "wait" : FINE.test(it.state) ? "good" : ILL.test(it.state) ? "bad" : "";
  if (known === "bad" && isShadow(it)) return "wait";
  return known === "good" && it.numbers.share < 1 ? "wait" : known;
}

/**
 * How a handle is, given how many calls it refuses in a second and mostly for which reason: its tone, the word for it, and why.
 * `whole` also has what its gauges show.
 */
export function judge(it, refusing, mostly) {
  const own = tone(it), why = [];
  if (it.note && !of(it.layer).note) why.push(it.note);
  const told = (own === "bad" || own === "wait") && of(it.layer).why?.(it.numbers);
  if (told) why.push(told);
  const comesBack = own === "wait" && it.state === "closed";
  if (comesBack) why.push(`${figure("share", it.numbers.share)} admitted`);
  if (refusing > 0) why.push(`${isShadow(it) ? "would refuse" : "refuses"} ${rate(refusing)}${mostly && !it.note ? `, mostly ${reason(mostly)}` : ""}`);
  const calm = own === "good" || own === "";
  const isRefusing = refusing > 0 && calm && !isShadow(it);
  const gauges = gauged(it).map(([name, most, text]) => `${figure("", it.numbers[name])} of ${figure("", it.numbers[most])} ${text}`);
  const word = isRefusing ? "refusing" : comesBack ? "recovering" : it.state;
  return { tone: isRefusing ? "wait" : own, word, why: why.join("; "), whole: [...why, ...gauges].join("; ") };
}

const PLURAL = { balance: "balancers", policy: "policies", stale: "caches" };
const plural = (layer) => PLURAL[layer] ?? `${layer}s`;

/**
 * How things stand, in one sentence, and its tone. It has no number in it that changes while nothing happens, for it is read aloud
 * when it changes.
 */
export function verdict(judged) {
  const troubled = judged.filter(({ tone }) => tone === "bad" || tone === "wait");
  if (!judged.length) return { tone: "off", text: "No layer has a name yet." };
  if (!troubled.length) return { tone: "good", text: "All is quiet: nothing refuses, trips or is ejected." };
  const kinds = new Map();
  for (const one of troubled.sort((a, b) => rank(a) - rank(b))) {
    const kind = `${one.it.layer} ${one.word}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  const said = [...kinds.values()].map((all) => {
    const [{ it, word }] = all;
    const [one, many] = SAID[word] ?? [`is ${word}`, `are ${word}`];
    if (all.length > 2) return `${all.length} ${plural(it.layer)} ${many}`;
    const names = all.map(({ it }) => title(it)).map(({ own, common }) => (common ? `${common} ${own}` : own));
    return `${it.layer} ${names.join(" and ")} ${all.length > 1 ? many : one}`;
  });
  const more = said.length - 3;
  const text = more > 0 ? `${said.slice(0, 3).join("; ")}; and ${more} ${more > 1 ? "troubles" : "trouble"} more` : said.join("; ");
  return { tone: troubled.some(({ tone }) => tone === "bad") ? "bad" : "wait", text: `${text[0].toUpperCase()}${text.slice(1)}.` };
}

/** The worst first. */
export const rank = ({ tone }) => ["bad", "wait"].indexOf(tone) + (tone === "bad" || tone === "wait" ? 0 : 9);

/** How many there are, and how many of them are taken out of service on purpose. */
export function census(judged) {
  const off = judged.filter(({ it, tone }) => tone === "off" && !isShadow(it)).length;
  const shadow = judged.filter(({ it }) => isShadow(it)).length;
  const layers = new Set(judged.map(({ it }) => it.layer)).size;
  const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;
  const ill = judged.filter(({ tone }) => tone === "bad" || tone === "wait").length;
  return [`${count(judged.length, "handle", "handles")} of ${count(layers, "layer", "layers")}`, ill && `${ill} not well`, off && `${off} switched off`, shadow && `${shadow} in shadow`].filter(Boolean).join(" · ");
}

/** The numbers that are shown first, and are not zero unless they are a setting. */
export function firstNumbers({ layer, note, numbers }) {
  const told = note && of(layer).note ? [["note", of(layer).note, note]] : [];
  const names = of(layer).first ?? Object.keys(numbers).slice(0, 6);
  return [...told, ...names.filter((name) => numbers[name]).map((name) => [name, label(name), figure(name, numbers[name])])];
}
