// Second chances: what is made again, what is sent twice, and the budget that pays for both.
import { facts, keep, make, mark, name, part, told, write } from "./elements.js";
import { figure, group, title, tone } from "./verdict.js";

const LAYERS = ["retry", "hedge", "budget"];

/** Why a call that failed was not made again, and why there was no copy of one that took long. */
const RETRIED_NOT = ["not_repeatable", "told", "refused", "out_of_tries", "out_of_time", "out_of_budget", "too_large"];
const HEDGED_NOT = ["unpaid", "hopeless", "too_large"];

/** Joins the layers before each call by their name. A budget that no call has for its own is among the others. */
export function join(layers) {
  const named = group(layers.filter((it) => LAYERS.includes(it.layer)), name);
  const calls = [...named].map(([name, all]) => {
    const [retry, hedge, budget] = LAYERS.map((layer) => all.find((it) => it.layer === layer));
    return { name, retry, hedge, budget };
  }).filter(({ retry, hedge }) => retry || hedge);
  const joined = new Set(calls.flatMap(({ retry, hedge, budget }) => [retry, hedge, budget]));
  calls.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { calls, others: layers.filter((it) => !joined.has(it)) };
}

/** A card for each call. */
export function drawChances(body, calls) {
  const born = (call) => {
    const [left, bar] = [make("span.faint"), make("meter")];
    // The bar says the same in words.
    mark(left, "aria-hidden", "true");
    mark(bar, "aria-label", "budget");
    return make("article.chance", make("h3", title(call)), make("p.state"), make("div.wide.purse", bar, left), make("dl.wide.facts"), make("p.wide.note.faint"));
  };
  keep(body, calls, name, born, (card, call) => {
    drawBudget(card, call.budget);
    facts(part(card, "dl"), numbers(call));
    write(part(card, ".note"), notes(call).join(" · "));
  });
}

function drawBudget(card, budget) {
  part(card, ".purse").hidden = !budget;
  mark(card, "data-tone", budget && tone(budget));
  write(part(card, ".state"), budget?.state ?? "");
  if (!budget) return;
  const { tokens, cap } = budget.numbers, bar = part(card, "meter");
  const left = `${figure("", tokens)} of ${figure("", cap)} tokens`;
  [bar.max, bar.value] = [cap, tokens];
  mark(bar, "aria-valuetext", left);
  write(part(card, ".purse span"), left);
}

/** What came of it, under the names that the card has for it. */
function numbers({ retry, hedge }) {
  const { calls, retries: retried, resent, waited, recovered } = retry?.numbers ?? hedge.numbers;
  const { hedges: hedged, won, delay_seconds: hedged_after_seconds } = hedge?.numbers ?? {};
  return { calls, retried, resent, waited, recovered, hedged, won, hedged_after_seconds };
}

function notes({ retry, hedge }) {
  const but = (what, it, keys) => {
    const why = it ? told(Object.fromEntries(keys.map((key) => [key, it.numbers[key]]))) : [];
    return why.length ? [`${what}: ${why.join(", ")}`] : [];
  };
  return [
    ...((retry ?? hedge).numbers.calls ? [] : ["no calls yet"]),
    ...(retry?.state === "disabled" ? ["retries are off"] : []),
    ...(hedge?.state === "disabled" ? ["hedging is off"] : []),
    ...(hedge?.state === "learning" && hedge.numbers.calls ? ["learns when to hedge"] : []),
    ...but("not retried", retry, RETRIED_NOT),
    ...but("not hedged", hedge, HEDGED_NOT),
    ...[retry?.note, hedge?.note].filter(Boolean),
  ];
}
