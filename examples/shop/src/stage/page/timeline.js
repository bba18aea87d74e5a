// The last five minutes: how journeys ended each second, how long nearly all of them took, and what happened meanwhile.
import { keep, make, mark, part, shape, write } from "./elements.js";
import { glyph, sign, turn } from "./glyphs.js";
import { clock, figure } from "./words.js";

const SPAN = 300_000;
const [LEFT, RIGHT, TOP, BOTTOM] = [30, 58, 22, 18];
const HEIGHT = 150;
const BANDS = ["good", "degraded", "bad"];

class Timeline extends HTMLElement {
  connectedCallback() {
    this.seconds = new Map();
    this.pins = [];
    this.picture = shape("svg", { role: "img" });
    for (const band of BANDS) this.picture.append(shape(`path.${band}`));
    this.picture.append(shape("g.grid"), shape("path.p99"), shape("g.pins"), shape("path.cursor"));
    const key = make("p.key.faint", ...[...BANDS, "p99"].map((name) => make("span", make(`i.${name}`), name)), make("output"));
    const scroll = make("ol.happened");
    scroll.tabIndex = 0;
    mark(scroll, "aria-label", "What happened, the newest first");
    this.append(make("div.chart", key, this.picture), scroll);
    new ResizeObserver(() => this.drawChart()).observe(this.picture.parentElement);
    this.picture.addEventListener("pointermove", ({ offsetX }) => this.point(offsetX));
    this.picture.addEventListener("pointerleave", () => this.point());
  }

  draw({ timeline: { seconds }, pins, at_ms: now }) {
    for (const second of seconds) this.seconds.set(second.at_ms, second);
    for (const at of this.seconds.keys()) if (at <= now - SPAN) this.seconds.delete(at);
    [this.now, this.pins] = [now, pins];
    this.drawPins();
    this.drawChart();
  }

  drawPins() {
    const born = () => make("li", glyph("idle"), make("time"), " ", make("span"));
    const newest = [...this.pins].sort((a, b) => b.at_ms - a.at_ms).slice(0, 40);
    keep(part(this, ".happened"), newest, ({ at_ms, text }) => `${at_ms} ${text}`, born, (row, { at_ms, kind, text }) => {
      mark(row, "data-kind", kind);
      turn(row.firstElementChild, kind);
      write(part(row, "time"), clock(at_ms));
      write(part(row, "span"), text);
    });
    if (!newest.length && !part(this, ".none")) part(this, ".happened").append(make("li.none.faint", "Nothing happened yet."));
    if (newest.length) part(this, ".none")?.remove();
  }

  drawChart() {
    const width = this.picture.parentElement.clientWidth;
    if (!width || !this.now) return;
    const seconds = [...this.seconds.values()].sort((a, b) => a.at_ms - b.at_ms);
    this.across = (at) => LEFT + (1 - (this.now - at) / SPAN) * (width - LEFT - RIGHT);
    const most = nice(Math.max(8, ...seconds.map((it) => it.good + it.degraded + it.bad)));
    const slowest = nice(Math.max(100, ...seconds.map((it) => it.p99_ms ?? 0)));
    const up = (share) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
    mark(this.picture, "viewBox", `0 0 ${width} ${HEIGHT}`);
    const below = new Map(seconds.map((it) => [it, 0]));
    for (const band of BANDS) {
      const from = seconds.map((it) => [it, below.get(it)]);
      for (const it of seconds) below.set(it, below.get(it) + it[band]);
      mark(part(this.picture, `path.${band}`), "d", this.band(from, below, (count) => up(count / most)));
    }
    mark(part(this.picture, ".p99"), "d", this.line(seconds, (ms) => up(ms / slowest)));
    this.drawGrid(width, up, most, slowest);
    const pins = this.pins.filter(({ at_ms }) => at_ms > this.now - SPAN);
    const born = () => shape("g.pin", {}, shape("title"), shape("path", { d: `M0 18V${HEIGHT - BOTTOM}` }), shape("circle", { cy: 10, r: 8 }), sign("idle", -6, 4, 12));
    keep(part(this.picture, ".pins"), pins, ({ at_ms, text }) => `${at_ms} ${text}`, born, (pin, { at_ms, kind, text }) => {
      mark(pin, "transform", `translate(${this.across(at_ms)} 0)`);
      mark(pin, "data-kind", kind);
      turn(part(pin, ".glyph"), kind);
      write(part(pin, "title"), `${clock(at_ms)} ${text}`);
    });
    const sum = (band) => seconds.reduce((sum, it) => sum + it[band], 0);
    const told = BANDS.map((band) => `${figure("", sum(band))} ${band}`).join(", ");
    mark(this.picture, "aria-label", `Journeys of the last five minutes: ${told}`);
    if (!this.pointed) this.point();
  }

  drawGrid(width, up, most, slowest) {
    const marks = [0, 0.5, 1].flatMap((share) => [
      { x: LEFT - 6, y: up(share) + 4, text: figure("", most * share), side: "left" },
      { x: width - RIGHT + 6, y: up(share) + 4, text: time(slowest * share), side: "right" },
    ]);
    const minutes = [4, 3, 2, 1, 0].map((ago) => ({ x: this.across(this.now - ago * 60_000), y: HEIGHT - 3, text: ago ? `−${ago} min` : "now", side: "below" }));
    keep(part(this.picture, ".grid"), [...marks, ...minutes], ({ side, x }) => `${side} ${x}`, ({ side }) => shape(`text.${side}`), (word, { x, y, text }) => {
      mark(word, "x", x);
      mark(word, "y", y);
      write(word, text);
    });
  }

  /** A second is a step; where there is none, there is a gap. */
  band(from, tops, up) {
    const steps = from.filter(([it, low]) => tops.get(it) > low);
    return steps.map(([it, low]) => {
      const [a, b] = [this.across(it.at_ms), this.across(it.at_ms + 1000)];
      return `M${a.toFixed(1)} ${up(low).toFixed(1)}V${up(tops.get(it)).toFixed(1)}H${b.toFixed(1)}V${up(low).toFixed(1)}z`;
    }).join("");
  }

  line(seconds, up) {
    let before;
    return seconds.filter((it) => it.p99_ms !== null).map((it) => {
      const joins = before !== undefined && it.at_ms - before < 2_500;
      before = it.at_ms;
      return `${joins ? "L" : "M"}${this.across(it.at_ms + 500).toFixed(1)} ${up(it.p99_ms).toFixed(1)}`;
    }).join("");
  }

  /** Says how the second was that is pointed at, or else the last whole one. */
  point(x) {
    this.pointed = x !== undefined;
    const all = [...this.seconds.values()], at = (it) => Math.abs(this.across(it.at_ms + 500) - x);
    const it = this.pointed ? all.reduce((best, next) => (!best || at(next) < at(best) ? next : best), undefined) : all.sort((a, b) => a.at_ms - b.at_ms).at(-2);
    mark(part(this.picture, ".cursor"), "d", this.pointed && it ? `M${this.across(it.at_ms + 500)} ${TOP}V${HEIGHT - BOTTOM}` : "");
    const p99 = it?.p99_ms === null || !it ? "" : ` · p99 ${figure("_ms", Math.round(it.p99_ms))}`;
    write(part(this, "output"), it ? `${clock(it.at_ms)} · ${BANDS.map((band) => `${it[band]} ${band}`).join(" · ")}${p99}` : "");
  }
}

const time = (ms) => (ms < 1_000 ? figure("_ms", ms) : figure("_s", ms / 1_000));

/** The next number that is good to read. */
function nice(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= number);
}

customElements.define("shop-timeline", Timeline);
