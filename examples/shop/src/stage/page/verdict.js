// What is to be thought of what the console tells. Nothing here touches the page.

/** The steps of an order: the way there, and the way back. */
export const STEPS = ["PENDING", "RESERVED", "PAID", "CONFIRMED", "REFUNDING", "RELEASING", "CANCELLED"];
/** No call waits for these. */
const BESIDE = { registry: "the registry", config: "the config service" };
const ENDS = ["CONFIRMED", "CANCELLED"];

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
export const title = (item) => item.name.replaceAll("->", " → ");

/** The number of a step, however it is written. */
export function count(numbers, step) {
  return numbers[step] ?? numbers[step.toLowerCase()] ?? 0;
}

/**
 * How things stand, in one sentence, and its tone. It has no number in it that changes while nothing happens, for it is read aloud
 * when it changes.
 */
export function verdict(layers) {
  const of = (layer) => layers.filter((it) => it.layer === layer);
  const bad = [], wait = [];

  const broken = of("invariant").filter((it) => it.state === "broken");
  if (broken.length) bad.push(`broken: ${broken.map((it) => it.name).join(", and ")}`);

  for (const [name, all] of group(of("service").filter((it) => !BESIDE[it.name]), (it) => service(it.name))) {
    const away = all.filter((it) => tone(it) !== "good");
    const share = all.length > 1 ? `: ${away.length} of ${all.length} replicas` : "";
    if (!away.length) continue;
    if (!away.some((it) => tone(it) === "bad")) wait.push(`${name} is ${lateness(away)}${share}`);
    else if (away.length === all.length) bad.push(`${name} is down${share}`);
    else wait.push(`${name} is short of replicas${share}`);
  }

  const shedding = of("shed").filter((it) => it.state === "shedding").map(title);
  const crowd = of("load").some((it) => it.state === "here") ? ["a crowd is here"] : [];
  if (shedding.length) crowd.push(`${shedding.length > 2 ? `${shedding.length} places` : shedding.join(" and ")} refuse${shedding.length > 1 ? "" : "s"} what is too much`);

  const aged = of("stale").filter((it) => tone(it) === "wait").map(title);
  if (aged.length) crowd.push(`${aged.join(" and ")} shows what it knew last`);

  const refusing = breakers(of("breaker").filter((it) => tone(it) === "bad"), "is open", "are open");
  const probing = breakers(of("breaker").filter((it) => it.state === "half-open"), "probes", "probe");
  const spent = budgets(of("budget").filter((it) => it.state === "empty"));
  const troubled = bad.length + wait.length + refusing.length + probing.length + spent.length > 0;

  const orders = of("orders");
  const waiting = orders.some(({ numbers }) => STEPS.some((step) => !ENDS.includes(step) && count(numbers, step) > 0));
  if (troubled && waiting) wait.push(broken.length ? "orders wait" : "orders wait, none is lost");
  if (orders.some(({ numbers }) => numbers.dead_letters > 0)) wait.push("there are dead letters");
  wait.push(...crowd, ...refusing, ...probing, ...spent);

  // Those that were known last are asked, with the values that were known last.
  const beside = of("service").filter((it) => BESIDE[it.name] && tone(it) !== "good");
  const sells = bad.length + wait.length === 0 ? ", and the shop still sells" : "";
  wait.push(...beside.map((it) => `${BESIDE[it.name]} is ${tone(it) === "bad" ? "down" : lateness([it])}${sells}`));

  for (const { name, state, numbers } of of("config")) {
    if (state === "refused") wait.push(`what ${name} says is no good, and changes nothing`);
    if (numbers.switched_off) wait.push("protections are off");
  }

  const said = [...bad, ...wait].join("; ");
  if (!layers.length) return { tone: "wait", text: "There is nothing to see yet." };
  if (!said) return { tone: "good", text: "All is well." };
  return { tone: bad.length ? "bad" : "wait", text: `${said[0].toUpperCase()}${said.slice(1)}.` };
}

function breakers(some, one, many) {
  const names = some.map(title);
  if (names.length > 2) return [`${names.length} breakers ${many}`];
  if (names.length === 2) return [`the breakers ${names.join(" and ")} ${many}`];
  return names.map((name) => `the breaker ${name} ${one}`);
}

function budgets(empty) {
  if (!empty.length) return [];
  return [`retries of ${empty.length > 2 ? `${empty.length} calls` : empty.map(title).join(" and ")} are used up`];
}

function lateness(instances) {
  const states = new Set(instances.map((it) => (it.state === "up" ? "not ready" : it.state)));
  return states.size === 1 ? [...states][0] : "not ready";
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
