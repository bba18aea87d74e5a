// Draws what the console tells at /layers and /stream, and ops at /incidents and /traces, and knows no more of the shop than that.
import { drawChances, join } from "./chances.js";
import { drawEndpoints } from "./endpoints.js";
import { drawIncidents } from "./incidents.js";
import { drawLoad, places } from "./load.js";
import { drawProtections } from "./protect.js";
import { drawTraces } from "./traces.js";
import { facts, keep, make, mark, name, part, told, write } from "./elements.js";
import { STEPS, count, figure, group, label, service, title, tone, verdict } from "./verdict.js";

const at = (id) => document.getElementById(id);

function drawServices(body, layers) {
  const born = (it) => make("li", make("span.name", title(it)), make("span.state"), make("span.faint"));
  keep(body, [...group(layers, (it) => service(it.name)).values()].flat(), name, born, (chip, it) => {
    mark(chip, "data-tone", tone(it));
    write(part(chip, ".state"), it.state === "up" && it.numbers.ready === 0 ? "up, not ready" : it.state);
    const { port, ready, pid, ...rest } = it.numbers;
    write(part(chip, ".faint"), [port && `:${port}`, pid && `pid ${pid}`, ...told(rest), it.note].filter(Boolean).join(" · "));
  });
}

/** When each pause ends, by the card that shows it, and how long it was when it was first seen. */
const pauses = new Map();

function drawBreakers(body, layers) {
  const born = (it) => {
    const [bar, pause] = [make("progress"), make("p.wide.pause", make("span.faint"))];
    bar.hidden = true;
    bar.setAttribute("aria-hidden", "true");
    pause.append(bar);
    return make("article.breaker", at("switch").content.cloneNode(true), make("h3", title(it)), make("p.state"), make("p.wide.note.faint"), pause, make("dl.wide.facts"));
  };
  keep(body, layers, name, born, (card, it) => {
    mark(card, "data-tone", tone(it));
    mark(card, "data-state", it.state);
    write(part(card, ".state"), it.state);
    const { share, retry_after_seconds: left } = it.numbers;
    const comesBack = it.state === "closed" && share < 1;
    write(part(card, ".note"), it.note ?? (comesBack ? `comes back: ${figure("share", share)} admitted` : ""));
    facts(part(card, "dl"), it.numbers, ["share", "retry_after_seconds"]);
    if (it.state === "open" && left > 0) {
      const whole = Math.max(left, pauses.get(card)?.whole ?? 0);
      pauses.set(card, { until: performance.now() + left * 1000, whole });
    } else pauses.delete(card);
    runDown(card);
  });
  for (const card of pauses.keys()) if (!card.isConnected) pauses.delete(card);
}

/** Runs between events, too. */
function runDown(card) {
  const pause = pauses.get(card), bar = part(card, "progress");
  bar.hidden = !pause;
  if (!pause) return write(part(card, ".pause span"), "");
  const left = Math.max(0, (pause.until - performance.now()) / 1000);
  write(part(card, ".pause span"), left > 0 ? `probes in ${Math.ceil(left)} s` : "probes at the next call");
  bar.max = pause.whole;
  bar.value = left;
}

function drawOrders(body, layers) {
  keep(body, layers, name, () => make("div", make("ul.steps"), make("dl.facts")), (all, { numbers }) => {
    const born = (step) => make("li.step", make("b"), make("span", step));
    keep(part(all, "ul"), STEPS, String, born, (box, step) => {
      const orders = count(numbers, step), ended = step === "CONFIRMED" || step === "CANCELLED";
      mark(box, "data-step", step);
      mark(box, "data-empty", orders === 0);
      mark(box, "data-tone", orders === 0 ? "" : ended ? "good" : "wait");
      write(part(box, "b"), figure("", orders));
    });
    facts(part(all, "dl"), numbers, STEPS.flatMap((step) => [step, step.toLowerCase()]));
  });
}

function drawInvariants(body, layers) {
  const born = (it) => make("li", make("span.name", title(it)), make("span.state"), make("span.faint"));
  keep(body, layers, name, born, (row, it) => {
    mark(row, "data-tone", tone(it));
    write(part(row, ".state"), it.state);
    write(part(row, ".faint"), [...told(it.numbers), it.note].filter(Boolean).join(" · "));
  });
}

const HEADINGS = { stale: "Last good answers" };

/** A table for every layer of which nothing more is known: a row for each handle, a column for each number that is not zero everywhere. */
function drawOthers(groups) {
  const born = ({ name }) => {
    const heading = HEADINGS[name] ?? `${name[0].toUpperCase()}${name.slice(1)}s`.replace(/ys$/, "ies");
    const scroll = make("div.scroll", make("table", make("thead", make("tr")), make("tbody")));
    scroll.tabIndex = 0;
    mark(scroll, "role", "region");
    mark(scroll, "aria-label", heading);
    return make("section", make("h2", heading), scroll, make("p.zeros.faint"));
  };
  keep(at("others"), groups, name, born, (section, { all }) => {
    const names = [...new Set(all.flatMap((it) => Object.keys(it.numbers)))];
    const isSeen = (key) => all.some((it) => (it.numbers[key] ?? 0) !== 0 || it.numbers[key] === null);
    const [seen, zero] = [names.filter(isSeen), names.filter((key) => !isSeen(key))];
    const noted = all.some((it) => it.note);
    const columns = ["name", "state", ...(noted ? ["note"] : []), ...seen];
    const isText = (column) => ["state", "note"].includes(column) && !seen.includes(column);
    keep(part(section, "thead tr"), columns, String, (column) => {
      const head = make(isText(column) ? "th.text" : "th", label(column));
      head.scope = "col";
      return head;
    }, () => {});
    keep(part(section, "tbody"), all, name, () => make("tr"), (row, it) => {
      const cell = (column) => {
        if (column === "name") return Object.assign(make("th"), { scope: "row" });
        return make(isText(column) ? "td.text" : "td", make("span"));
      };
      keep(row, columns, String, cell, (place, column) => {
        if (column === "name") return write(place, title(it));
        const span = part(place, "span");
        if (!isText(column)) return write(span, figure(column, it.numbers[column]));
        if (column === "note") return write(span, it.note ?? "");
        mark(place, "data-tone", tone(it));
        span.classList.toggle("state", tone(it) !== "");
        write(span, it.state);
      });
    });
    write(part(section, ".zeros"), zero.length ? `Zero everywhere: ${zero.map(label).join(", ")}.` : "");
  });
}

const SECTIONS = { service: drawServices, breaker: drawBreakers, orders: drawOrders, invariant: drawInvariants };

function draw(layers) {
  const { calls, others } = join(layers);
  at("chances").hidden = calls.length === 0;
  drawChances(part(at("chances"), ".body"), calls);
  const groups = group(others, (it) => it.layer);
  const endpoints = groups.get("endpoint") ?? [];
  at("endpoint").hidden = endpoints.length === 0;
  drawEndpoints(part(at("endpoint"), ".body"), endpoints, groups.get("service") ?? []);
  groups.delete("endpoint");
  const loaded = places(layers);
  at("load").hidden = loaded.length === 0;
  drawLoad(part(at("load"), ".body"), loaded);
  if (loaded.length) ["load", "shed"].forEach((kind) => groups.delete(kind));
  const [config] = groups.get("config") ?? [];
  at("protections").hidden = !config;
  if (config) drawProtections(part(at("protections"), ".body"), config);
  groups.delete("config");
  // Where traces are made is nothing to look at.
  groups.delete("trace");
  for (const [id, drawn] of Object.entries(SECTIONS)) {
    const all = groups.get(id) ?? [];
    at(id).hidden = all.length === 0;
    drawn(part(at(id), ".body"), all);
    groups.delete(id);
  }
  // Those that a policy may switch on are not told of while they are off.
  groups.set("limit", (groups.get("limit") ?? []).filter((it) => it.state !== "off"));
  drawOthers([...groups].filter(([, all]) => all.length).map(([name, all]) => ({ name, all })));
}

// An event comes at every change, and every five seconds when there is none.
const QUIET = 12_000;
let last, heard, polled = false;

function arrive(layers) {
  [last, heard] = [layers, performance.now()];
  draw(layers);
  tell();
}

/** Says how things stand, and how old that is. */
function tell() {
  const silent = heard === undefined ? Infinity : performance.now() - heard;
  if (!last) return write(at("news"), "asking");
  const old = silent > QUIET;
  const { tone, text } = old ? { tone: "bad", text: "The shop does not answer. What is shown is old." } : verdict(last);
  write(at("verdict"), text);
  mark(at("verdict"), "data-tone", tone);
  mark(at("news"), "data-tone", old ? "bad" : "");
  write(at("news"), old ? `no news for ${Math.round(silent / 1000)} s` : polled ? "polled" : "live");
}

/** Follows the stream. Where there is none to be had, it asks for the layers instead, and for a stream again a little later. */
function follow() {
  const stream = new EventSource("stream");
  stream.onmessage = (event) => {
    polled = false;
    arrive(JSON.parse(event.data));
  };
  stream.onerror = async () => {
    if (stream.readyState !== EventSource.CLOSED) return;
    setTimeout(follow, 2_000);
    try {
      const answer = await fetch("layers");
      if (!answer.ok) return;
      const layers = await answer.json();
      polled = true;
      arrive(layers);
    } catch {
      // Nobody is there. That the news are old is told anyway.
    }
  };
}

/** Asks for what no stream tells, again and again. */
async function ask(id, path, drawn) {
  try {
    const answer = await fetch(path);
    if (!answer.ok) return;
    const { [id]: all } = await answer.json();
    at(id).hidden = all.length === 0;
    drawn(part(at(id), ".body"), all);
  } catch {
    // Nobody is there. That the news are old is told anyway.
  } finally {
    setTimeout(ask, 2_000, id, path, drawn);
  }
}

follow();
ask("incidents", "incidents?limit=12", drawIncidents);
ask("traces", "traces?sort=slowest&limit=6", drawTraces);
setInterval(() => {
  for (const card of pauses.keys()) runDown(card);
  tell();
}, 200);
