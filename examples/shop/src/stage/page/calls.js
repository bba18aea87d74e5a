// A card for each call: what guards it, and what that did.
import { keep, make, mark, part, write } from "./elements.js";
import { UNBOUNDED, figure, group, title, tone, worst } from "./words.js";

/** Why a call that failed was not made again, and why there was no copy of one that took long. */
const RETRIED_NOT = ["not_repeatable", "told", "refused", "out_of_tries", "out_of_time", "out_of_budget", "too_large"];
const HEDGED_NOT = ["unpaid", "hopeless", "too_large"];

/** The call that a handle belongs to, whichever replicas are at its ends: `order->payment` of `order->payment-2, attempt`. */
const callOf = (name) => name.replace(/,.*$/, "").replaceAll(/-\d+/g, "");

class Calls extends HTMLElement {
  /** How many calls had ended at which time, for the rate. */
  seen = new Map();

  /** The calls that there are, or were before their caller was killed. */
  known = new Set();

  draw(layers) {
    for (const { layer, name } of layers) if (layer === "balance") this.known.add(callOf(name));
    const handles = group(layers, (it) => callOf(it.name));
    const calls = [...this.known].sort().map((name) => ({ name, of: group(handles.get(name) ?? [], (it) => it.layer) }));
    keep(this, calls, ({ name }) => name, born, (card, call) => this.drawCall(card, call));
  }

  drawCall(card, { name, of }) {
    const breakers = of.get("breaker") ?? [], budgets = of.get("budget") ?? [];
    const tones = [...breakers, ...(of.get("balance") ?? []), ...(of.get("stale") ?? []), ...budgets].map(tone);
    const all = worst(tones), some = all === "bad" && breakers.length > 1 && breakers.some((it) => tone(it) === "good");
    mark(card, "data-tone", some ? "wait" : all);
    write(part(card, ".state"), of.size ? states(breakers) : "caller is gone");
    write(part(card, ".pace"), this.pace(name, of.get("meter") ?? []));
    const rows = facts(of);
    const bornRow = ([what]) => make("div", make("dt", what), make("dd"));
    keep(part(card, "dl"), rows, ([what]) => what, bornRow, (row, [, told, tone]) => {
      mark(row, "data-tone", tone);
      write(part(row, "dd"), told);
    });
    drawBudget(card, budgets);
  }

  /** How many calls a second, and how long nearly all take. */
  pace(name, meters) {
    const { successes, failures, throttled, ignored } = sums(meters);
    const ended = successes + failures + throttled + ignored, now = performance.now();
    const before = (this.seen.get(name) ?? []).filter(([at]) => now - at < 5_000);
    this.seen.set(name, [...before, [now, ended]]);
    const [[at, was]] = before.length ? before : [[now, ended]];
    const rate = now - at > 900 ? Math.max(0, (ended - was) / ((now - at) / 1000)) : 0;
    const p99 = Math.max(0, ...meters.map((it) => it.times.duration_seconds?.p99 ?? 0));
    const times = p99 ? ` · p99 ${figure("_ms", p99 * 1000)}` : "";
    if (!meters.length) return "";
    return ended ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second${times}` : "no calls yet";
  }
}

/** All numbers of some handles, each added up. What is not there is zero. */
function sums(handles) {
  const sum = {};
  for (const { numbers } of handles) for (const [key, number] of Object.entries(numbers)) sum[key] = (sum[key] ?? 0) + (number ?? 0);
  return new Proxy(sum, { get: (sum, key) => sum[key] ?? 0 });
}

/** How the breakers are: of several, how many are as they should not be. */
function states(breakers) {
  if (!breakers.length) return "";
  const kinds = group(breakers, (it) => it.state);
  if (kinds.size === 1) return breakers[0].state;
  return [...kinds].filter(([state]) => state !== "closed").map(([state, all]) => `${all.length} ${state}`).join(", ");
}

/** What a call has, what came of it, and whether that is something to look at. */
function facts(of) {
  const get = (layer) => of.get(layer) ?? [];
  const off = (layer) => get(layer).some((it) => it.state === "disabled");
  const rows = [];
  const add = (layer, what, told, tone) => {
    if (get(layer).length) rows.push([what, off(layer) ? "off" : told, off(layer) ? "wait" : tone]);
  };
  const breaker = sums(get("breaker")), shed = sums(get("shed")), retry = sums(get("retry")), hedge = sums(get("hedge"));
  const stale = sums(get("stale")), instead = sums(get("fallback")), deadline = sums(get("deadline"));
  const soonest = Math.min(...get("breaker").map((it) => it.numbers.retry_after_seconds ?? Infinity));
  const probes = soonest < Infinity ? `, probes in ${Math.ceil(soonest)} s` : "";
  add("breaker", "breaker refused", `${figure("", breaker.refused)}${probes}`);
  const bounded = shed.limit > 0 && shed.limit < UNBOUNDED;
  const queued = shed.queued ? `, ${figure("", shed.queued)} queue` : "";
  add("shed", "in flight", `${figure("", shed.in_flight)}${bounded ? ` of ${figure("", shed.limit)}` : ""}${queued}`);
  if (shed.refused) add("shed", "turned away", figure("", shed.refused));
  add("retry", "retried", saved(retry.retries, retry.recovered, "saved"));
  add("hedge", "hedged", saved(hedge.hedges, hedge.won, "won"));
  add("stale", "older shown", figure("", stale.stale_if_error));
  add("fallback", "stood in", figure("", instead.used));
  add("deadline", "out of time", figure("", deadline.ended_total + deadline.ended_head));
  const ejections = sums(get("balance")).ejections;
  if (ejections) add("balance", "ejected", figure("", ejections));
  const not = [why("not retried", retry, RETRIED_NOT), why("not hedged", hedge, HEDGED_NOT)];
  return [...rows, ...not.filter(Boolean)];
}

const saved = (made, won, word) => (made ? `${figure("", made)}, ${figure("", won)} ${word}` : "0");

/** The reasons for which something was not done, the most frequent first. */
function why(what, numbers, reasons) {
  const told = reasons.filter((key) => numbers[key]).sort((a, b) => numbers[b] - numbers[a]);
  const words = told.slice(0, 2).map((key) => `${key.replaceAll("_", " ")} ${figure("", numbers[key])}`);
  return words.length ? [what, words.join(", ")] : undefined;
}

/** What is left for second chances. */
function drawBudget(card, budgets) {
  part(card, ".purse").hidden = budgets.length === 0;
  if (!budgets.length) return;
  const { tokens, cap } = sums(budgets), bar = part(card, "meter");
  const left = `${figure("", tokens)} of ${figure("", cap)} tokens`;
  [bar.max, bar.value] = [cap, tokens];
  mark(bar, "aria-valuetext", left);
  mark(part(card, ".purse"), "data-tone", worst(budgets.map(tone)));
  write(part(card, ".purse span"), left);
}

function born(call) {
  const [left, bar] = [make("span.faint"), make("meter")];
  // The bar says the same in words.
  mark(left, "aria-hidden", "true");
  mark(bar, "aria-label", "budget of second chances");
  return make("article.card", make("h3", title(call)), make("p.state"), make("p.pace.faint"), make("dl"), make("div.purse", bar, left));
}

customElements.define("shop-calls", Calls);
