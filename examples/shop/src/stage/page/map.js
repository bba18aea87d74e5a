// The map: who asks whom, which replicas there are, and the breakers between them as switches.
import { keep, make, mark, part, shape, write } from "./elements.js";
import { sign, turn } from "./glyphs.js";
import { BUS, hop, placesFor } from "./places.js";
import { arrow, group, service, title, tone, worst } from "./words.js";

const HEIGHT = 52, ROW = 15;
const REPLICA = 44;

class ShopMap extends HTMLElement {
  connectedCallback() {
    this.layers = [];
    this.faults = [];
    /** What a fault can be done to; nothing, until it is known. */
    this.targets = new Set();
    this.drawn = new WeakMap();
    this.picture = shape("svg", { role: "group", "aria-label": "Who asks whom" }, shape("g.lines"), shape("g.nodes"), shape("g.plates"));
    this.append(this.picture, make("p.key.faint"));
    new ResizeObserver(() => this.draw()).observe(this);
    setInterval(() => this.countDown(), 250);
    const aim = ({ target }) => {
      const at = target.closest("[data-target]");
      if (at) this.dispatchEvent(new CustomEvent("aim", { detail: at.dataset.target, bubbles: true }));
    };
    this.picture.addEventListener("click", aim);
    this.picture.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      aim(event);
    });
  }

  draw() {
    const places = placesFor(this.clientWidth);
    mark(this.picture, "viewBox", places.view);
    const instances = group(this.layers.filter((it) => it.layer === "service"), (it) => service(it.name));
    const breakers = group(this.layers.filter((it) => it.layer === "breaker" && it.name.includes("->")), (it) => hop(it.name));
    const [orders] = this.layers.filter((it) => it.layer === "orders");
    const nodes = Object.entries(places.nodes).filter(([name]) => name === BUS || instances.has(name) || !this.layers.length);
    const there = new Set(nodes.map(([name]) => name));
    const lines = Object.entries(places.lines).filter(([name]) => name.split("->").every((end) => there.has(end)));
    const key = ([name]) => name;
    keep(part(this, ".lines"), lines, key, () => shape("path"), (line, [name, [path]]) => {
      mark(line, "d", path);
      mark(line, "data-tone", lineTone(breakers.get(name) ?? []));
    });
    keep(part(this, ".nodes"), nodes, key, bornNode, (node, [name, place]) => {
      this.drawNode(node, name, place, name === BUS ? [bus(orders, breakers)] : instances.get(name) ?? []);
    });
    const plates = lines.filter(([name]) => breakers.has(name));
    keep(part(this, ".plates"), plates, key, bornPlate, (plate, [name, [, x, y]]) => this.drawPlate(plate, name, x, y, breakers.get(name)));
    write(part(this, ".key"), breakers.size ? "A box is a replica, a switch a breaker. Choose a service or a line to do something to it." : "");
    this.countDown();
  }

  drawNode(node, name, [x, y, width], all) {
    const tones = all.map((it) => it.tone ?? tone(it)), overall = worst(tones);
    mark(node, "transform", `translate(${x - width / 2} ${y - HEIGHT / 2})`);
    mark(node, "data-tone", overall);
    mark(part(node, "rect"), "width", width);
    const states = all.map((it, n) => ({ ...it, n, tone: tones[n], alone: all.length === 1 }));
    const bornReplica = () => shape("g.replica", {}, shape("rect", { height: 20, rx: 4 }), sign("good", 4, 4, 12), shape("text", { x: 19, y: 14 }));
    keep(part(node, ".replicas"), states, (it) => it.name, bornReplica, (box, it) => {
      mark(box, "transform", `translate(${8 + it.n * (REPLICA + 6)} 26)`);
      mark(box, "data-tone", it.tone);
      mark(part(box, "rect"), "width", it.alone ? width - 16 : REPLICA);
      turn(part(box, ".glyph"), it.tone || "idle");
      write(part(box, "text"), it.alone ? stateOf(it) : `${it.n + 1}`);
    });
    const up = tones.filter((it) => it === "good").length;
    const how = all.length > 1 ? `${up} of ${all.length} up` : all.map(stateOf).join("");
    const bad = this.drawFault(node, name, width - 10, 10);
    this.aims(node, name, [`${name}: ${how}`, bad].filter(Boolean).join(", "), all.map((it) => `${it.name}: ${stateOf(it)}`));
  }

  drawPlate(plate, name, x, y, all) {
    const height = all.length * ROW + 5;
    mark(plate, "transform", `translate(${x} ${y - height / 2})`);
    mark(plate, "data-tone", lineTone(all));
    mark(part(plate, "rect"), "height", height);
    const rows = all.map((it, n) => ({ ...it, n }));
    keep(part(plate, ".switches"), rows, (it) => it.name, bornSwitch, (row, it) => {
      mark(row, "transform", `translate(0 ${it.n * ROW + 11})`);
      mark(row, "data-tone", tone(it));
      mark(row, "data-state", it.state);
      const left = it.state === "open" ? it.numbers.retry_after_seconds : undefined;
      this.drawn.set(row, left > 0 ? performance.now() + left * 1000 : undefined);
    });
    const states = [...group(all, (it) => it.state)].map(([state, some]) => `${some.length} ${state}`).join(", ");
    const bad = this.drawFault(plate, name, 22, 2);
    this.aims(plate, name, [`${arrow(name)}: breakers ${states}`, bad].filter(Boolean).join(", "), all.map((it) => `${title(it)}: ${it.state}${it.note ? `, ${it.note}` : ""}`));
  }

  /** Marks what something is done to, and says what. */
  drawFault(place, name, x, y) {
    const done = this.faults.filter(({ target }) => target === name || service(target) === name);
    const bolt = part(place, ".fault");
    mark(bolt, "transform", `translate(${x} ${y})`);
    bolt.classList.toggle("none", done.length === 0);
    return done.map(({ target, kind }) => `${kind.replaceAll("_", " ")} of ${arrow(target)}`).join(", ");
  }

  /** Makes a place a button, if something can be done to it. */
  aims(place, name, told, lines) {
    const can = this.targets.has(name);
    mark(place, "data-target", can && name);
    mark(place, "role", can ? "button" : "img");
    mark(place, "tabindex", can && "0");
    mark(place, "aria-label", told);
    write(part(place, "title"), lines.join("\n"));
  }

  /** Says when each open breaker probes, between the news as well. */
  countDown() {
    for (const row of this.picture.querySelectorAll(".switch")) {
      const until = this.drawn.get(row);
      const left = until === undefined ? 0 : Math.ceil((until - performance.now()) / 1000);
      write(part(row, "text"), left > 0 ? `${left} s` : "");
    }
  }
}

const stateOf = ({ state, numbers }) => (state === "up" && numbers.ready === 0 ? "not ready" : state);

/** The bus is no process: it is what waits in it, and whether those who use it can. */
function bus(orders, breakers) {
  const tones = [...breakers].filter(([name]) => name.endsWith(`->${BUS}`)).flatMap(([, all]) => all.map(tone));
  const { outbox = 0, queue = 0 } = orders?.numbers ?? {};
  const waits = outbox + queue;
  return { layer: "bus", name: BUS, state: waits ? `${waits} wait` : "empty", numbers: {}, tone: worst(tones) };
}

/** A line is bad when nobody gets over it any more. */
function lineTone(breakers) {
  const tones = breakers.map(tone), known = worst(tones);
  return known === "bad" && tones.some((it) => it !== "bad") ? "wait" : known;
}

function bornNode([name]) {
  const word = shape("text.name", { x: 10, y: 18 }, name);
  return shape("g.node", {}, shape("title"), shape("rect.box", { height: HEIGHT, rx: 8 }), word, shape("g.replicas"), bornFault());
}

function bornPlate() {
  return shape("g.plate", {}, shape("title"), shape("rect.box", { x: -18, width: 36, rx: 5 }), shape("g.switches"), bornFault());
}

function bornFault() {
  return shape("g.fault", {}, shape("circle", { r: 9 }), sign("fault", -7, -7, 14));
}

function bornSwitch() {
  const ends = [-10, 10].map((x) => shape("circle", { cx: x, cy: 0, r: 2.5 }));
  return shape("g.switch", {}, shape("path.bypass", { d: "M-10 0v5h20v-5" }), shape("path.lever", { d: "M-10 0H10" }), ...ends, shape("text", { x: 23, y: 4 }));
}

customElements.define("shop-map", ShopMap);
