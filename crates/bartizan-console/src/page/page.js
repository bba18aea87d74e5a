// Draws what the console tells, and knows no more of the program than that.
import * as card from "./card.js";
import { at, hide, keep, make, mark, part, write } from "./elements.js";
import * as events from "./events.js";
import { SECTIONS, census, countdown, judge, pause, rank, then, verdict } from "./mind.js";
import * as series from "./series.js";
import * as source from "./source.js";
import { sentence, title } from "./words.js";

/** Cards of handles that are well, in a section, before the rest is but counted. */
const MOST = 18;
/** Handles from which on samples are further apart. */
const MANY = 200;

let about = { writable: false, every_seconds: 0 }, all = [], isDrawing = false, unfolded = new Set();

/** Every handle with a key of its own. Twins are told apart by their place. */
function keyed(layers) {
  const twins = new Map();
  for (const it of layers) {
    const key = `${it.layer} ${it.name}`;
    twins.set(key, (twins.get(key) ?? 0) + 1);
  }
  const nth = new Map();
  return layers.map((it) => {
    const key = `${it.layer} ${it.name}`, n = nth.get(key) ?? 0;
    nth.set(key, n + 1);
    if (twins.get(key) > 1) it.twin = n;
    return { key: n ? `${key} ${n}` : key, it };
  });
}

/** Takes a look, of now or of some time ago. */
function take(layers, when) {
  const items = keyed(layers), apart = items.length > MANY ? 5000 : 1000;
  for (const { key, it } of items) series.take(key, it, when, apart);
  events.compare(items, when);
  return items;
}

function seen(layers) {
  const items = take(layers, Date.now());
  series.forget(new Set(items.map(({ key }) => key)));
  all = items.map(({ key, it }) => ({ key, it, id: `handle-${key.replaceAll(/\s/g, "_")}`, ...judge(it, ...series.refusing(key)) }));
  draw();
}

/** Draws before the next frame, once. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    drawHead();
    drawSections();
    events.draw();
  });
}

function drawHead() {
  const { tone, text } = verdict(all);
  mark(at("verdict"), "data-tone", tone);
  write(at("verdict"), text);
  write(at("census"), census(all));
  document.title = tone === "good" || tone === "off" ? "Bartizan" : `${tone === "bad" ? "✕" : "◔"} Bartizan`;
  const troubled = all.filter(({ tone }) => tone === "bad" || tone === "wait").sort((a, b) => rank(a) - rank(b));
  const born = () => make("li", make("a", make("span.state"), " ", make("span.who"), " ", make("span.layer"), make("span.why")));
  const shown = troubled.slice(0, 8);
  keep(at("troubles"), shown, ({ key }) => key, born, (row, { it, id, tone, word, whole }) => {
    const { own, common } = title(it), link = part(row, "a");
    mark(row, "data-tone", tone);
    mark(link, "href", `#${encodeURIComponent(id)}`);
    write(part(row, ".state"), word);
    write(part(row, ".who"), common ? `${common} ${own}` : own);
    write(part(row, ".layer"), it.layer);
    const left = pause(it);
    write(part(row, ".why"), [whole, left > 0 && countdown(then(it), left)].filter(Boolean).join("; "));
  });
  hide(at("troubles"), shown.length === 0);
}

/** The sections that have something to show. */
function sections() {
  const named = new Set(SECTIONS.flatMap(([, layers]) => layers));
  const others = [...new Set(all.map(({ it }) => it.layer).filter((layer) => !named.has(layer)))];
  return [...SECTIONS, ...others.map((layer) => [sentence(layer), [layer]])].map(([heading, layers]) => {
    const items = all.filter(({ it }) => layers.includes(it.layer));
    // The endpoints of a balancer stand behind it.
    if (layers.includes("endpoint")) items.sort((a, b) => (title(a.it).common || a.it.name).localeCompare(title(b.it).common || b.it.name));
    return { heading, items };
  });
}

const words = () => at("find").value.toLowerCase().split(/\s+/).filter(Boolean);

function isWanted({ it, tone, why }, words) {
  if (at("only").checked && tone !== "bad" && tone !== "wait") return false;
  const text = `${it.layer} ${it.name} ${it.state} ${why}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function drawSections() {
  const wanted = words();
  const shown = sections()
    .map(({ heading, items }) => ({ heading, items: items.filter((one) => isWanted(one, wanted)), whole: items.length }))
    .filter(({ items }) => items.length);
  keep(at("layers"), shown, ({ heading }) => heading, bornSection, (section, { heading, items, whole }) => {
    let room = unfolded.has(heading) ? Infinity : MOST;
    const cards = items.filter(({ tone }) => tone === "bad" || tone === "wait" || room-- > 0);
    write(part(section, ".count"), items.length === whole ? `${whole}` : `${items.length} of ${whole}`);
    mark(section, "data-cards", Math.min(cards.length, 3));
    keep(part(section, ".cards"), cards, ({ key }) => key, card.born, (element, one) => card.draw(element, one, about.writable));
    const button = part(section, ".rest");
    hide(button, cards.length === items.length);
    write(button, `Show ${items.length - cards.length} more that are well`);
  });
}

function bornSection({ heading }) {
  const button = Object.assign(make("button.rest", ""), { type: "button", hidden: true });
  button.addEventListener("click", () => {
    unfolded.add(heading);
    draw();
  });
  const section = make("section", make("h2", heading, " ", make("span.count")), make("div.cards"), button);
  section.classList.toggle("wide", heading === SECTIONS[0][0]);
  return section;
}

const NEWS = { live: ["good", "live"], gone: ["bad", "no answer: what is shown is old"], token: ["wait", "waits for the token"] };

function news(how) {
  const [tone, text] = NEWS[how] ?? ["bad", how];
  mark(at("news"), "data-tone", tone);
  mark(document.body, "data-stale", how !== "live");
  write(part(at("news"), ".text"), text);
}

async function start() {
  try {
    about = await source.about();
  } catch {
    // It says so below, for the stream does not answer either.
  }
  hide(at("key"), !(about.token_to_read || (about.writable && about.token_to_write)));
  let isFirst = true;
  const first = async () => {
    isFirst = false;
    try {
      const now = Date.now();
      for (const { age_seconds: age, layers } of await source.history()) take(layers, now - age * 1000);
    } catch {
      // It can do without.
    }
  };
  const waiting = [];
  await source.follow(about.every_seconds, async (layers) => {
    if (!isFirst && waiting.length === 0) return seen(layers);
    waiting.push(layers);
    if (!isFirst) return;
    await first();
    seen(waiting.pop());
    waiting.length = 0;
  }, news);
}

at("find").addEventListener("input", draw);
at("only").addEventListener("change", draw);
at("token").addEventListener("change", ({ target }) => source.use(target.value));
addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    at("find").focus();
  } else if (event.key === "Escape" && event.target === at("find")) {
    at("find").value = "";
    draw();
  }
});
setInterval(card.runAllDown, 250);
start();
