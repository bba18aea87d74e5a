// A card for each handle.
import * as controls from "./controls.js";
import { at, hide, keep, make, mark, part, shape, write } from "./elements.js";
import { countdown, firstNumbers, gauged, pause, then } from "./mind.js";
import { drawn, sparkline, told } from "./series.js";
import { figure, label, sentence, title } from "./words.js";

export function born({ it, id }) {
  const card = make(
    "article.card",
    make("div.head", make("h3"), make("span.layer"), make("span.state")),
    make("p.why"),
    make("div.pause", make("span"), make("progress")),
    make("div.gauges"),
    make("div.charts"),
    make("dl.facts"),
    make("div.foot", make("details.more", make("summary", "All numbers"), make("dl.numbers"))),
  );
  if (it.layer === "breaker") part(card, ".head").prepend(at("switch").content.cloneNode(true));
  mark(part(card, "progress"), "aria-hidden", "true");
  card.id = id;
  card.tabIndex = -1;
  return card;
}

/** Draws a handle. `isWritable` says whether it can be told anything. */
export function draw(card, { it, key, tone, why }, isWritable) {
  const { own, common } = title(it);
  mark(card, "data-tone", tone);
  mark(card, "data-state", it.state);
  mark(card, "data-layer", it.layer);
  write(part(card, "h3"), own);
  write(part(card, ".layer"), common ? `${it.layer} of ${common}` : it.layer);
  write(part(card, ".state"), it.state);
  write(part(card, ".why"), sentence(why));
  rest(card, it);
  gauges(part(card, ".gauges"), it);
  charts(part(card, ".charts"), it, key);
  keep(part(card, ".facts"), firstNumbers(it), ([name]) => name, ([, text]) => make("div", make("dt", text), make("dd")), (pair, [, , number]) => write(pair.lastChild, number));
  const more = part(card, ".more"), numbers = Object.entries(it.numbers);
  hide(more, numbers.length === 0);
  if (more.open) keep(part(more, "dl"), numbers, ([name]) => name, ([name]) => make("div", make("dt", label(name)), make("dd")), (pair, [name, number]) => write(pair.lastChild, figure(name, number)));
  const wants = isWritable && (it.verbs?.length > 0 || Object.keys(it.settings ?? {}).length > 0);
  let change = part(card, ".change");
  if (wants && !change) {
    change = controls.born();
    change.addEventListener("toggle", () => controls.draw(change, change.handle));
    part(card, ".foot").append(change);
  }
  if (!wants) change?.remove();
  else controls.draw(change, it);
}

/** When each pause ends, by the card that shows it, and how long it was when it was first seen. */
const pauses = new Map();

function rest(card, it) {
  const left = pause(it);
  if (left > 0) pauses.set(card, { until: performance.now() + left * 1000, whole: Math.max(left, pauses.get(card)?.whole ?? 0), what: then(it) });
  else pauses.delete(card);
  runDown(card);
}

/** Runs between looks, too. */
export function runAllDown() {
  for (const card of pauses.keys()) {
    if (card.isConnected) runDown(card);
    else pauses.delete(card);
  }
}

function runDown(card) {
  const box = part(card, ".pause"), pause = pauses.get(card);
  hide(box, !pause);
  if (!pause) return;
  const left = Math.max(0, (pause.until - performance.now()) / 1000), bar = part(box, "progress");
  write(part(box, "span"), countdown(pause.what, left));
  bar.max = pause.whole;
  bar.value = left;
}

function gauges(box, it) {
  const { numbers } = it;
  const bornGauge = ([, , text]) => {
    const meter = make("meter");
    mark(meter, "aria-label", text);
    return make("div.gauge", make("span.faint", text), meter, make("span.figure"));
  };
  keep(box, gauged(it), ([name]) => name, bornGauge, (gauge, [name, most]) => {
    const meter = part(gauge, "meter");
    meter.max = numbers[most];
    meter.value = numbers[name];
    // Of what is taken much is dear, of what is left little.
    const share = numbers[name] / numbers[most], isTaken = ["in_flight", "keys", "queued"].includes(name);
    mark(gauge, "data-tone", (isTaken ? share >= 0.95 : share <= 0.05) ? "wait" : "");
    write(part(gauge, ".figure"), `${figure("", numbers[name])} of ${figure("", numbers[most])}`);
  });
}

function charts(box, it, key) {
  const groups = drawn(key, it);
  keep(box, groups, ({ name }) => name, bornChart, (chart, { name, lines }) => {
    sparkline(part(chart, "svg"), lines);
    const texts = lines.map((line) => `${line.label} ${told(line)}`);
    mark(part(chart, "svg"), "aria-label", `${label(name)}: ${texts.join(", ")}`);
    keep(part(chart, ".legend"), lines, (line) => line.label, (line) => make("span", make("i"), make("span.faint", line.label), " ", make("b")), (item, line) => {
      mark(item, "class", `key ${line.tone ?? ""}`);
      write(part(item, "b"), told(line));
    });
  });
}

function bornChart({ name }) {
  const svg = shape("svg", { viewBox: "0 0 200 36", preserveAspectRatio: "none", role: "img" });
  const caption = ["rate", "latency"].includes(name) ? [] : [make("span.caption", label(name))];
  return make("div.chart", ...caption, svg, make("div.legend"));
}
