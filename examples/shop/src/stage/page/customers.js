// The customers: a cell for each, which shows how the last journey went.
import { keep, make, mark, part, write } from "./elements.js";
import { OUTCOMES, glyph, turn } from "./glyphs.js";
import { clock, figure } from "./words.js";

const JOURNEYS = { browse: "looks around", order: "orders", pay: "asks for a payment", account: "looks at the account", rest: "rests" };
const SIDE = 8;

class Customers extends HTMLElement {
  connectedCallback() {
    this.list = make("ul.cells");
    this.list.tabIndex = 0;
    mark(this.list, "role", "listbox");
    mark(this.list, "aria-label", "Customers; the arrow keys go from one to another");
    const told = make("p.told.faint", make("span"), " ", make("a", "Trace"));
    this.append(this.list, make("ul.legend"), told);
    this.list.addEventListener("keydown", (event) => this.step(event));
    this.list.addEventListener("pointerover", ({ target }) => this.choose(target.closest("li")?.dataset.n));
    this.list.addEventListener("pointerleave", () => this.list.matches(":focus-visible") || this.choose());
    this.list.addEventListener("focus", () => this.list.matches(":focus-visible") && this.choose(this.chosen ?? 0));
    this.list.addEventListener("blur", () => this.choose());
  }

  draw({ customers, counts }) {
    this.customers = customers;
    const born = ({ n }) => {
      const cell = make("li", glyph("idle"));
      [cell.id, cell.dataset.n] = [`customer-${n}`, n];
      mark(cell, "role", "option");
      return cell;
    };
    keep(this.list, customers, ({ n }) => n, born, (cell, it) => {
      if (cell.dataset.at !== `${it.at_ms}`) {
        // A journey that has just ended shows for a moment that it did; there are two names for the same motion, so that it begins anew.
        cell.dataset.beat = cell.dataset.beat === "a" ? "b" : "a";
        cell.dataset.at = it.at_ms;
      }
      mark(cell, "data-outcome", it.outcome);
      mark(cell, "aria-label", `customer ${it.n + 1}: ${OUTCOMES[it.outcome] ?? it.outcome}`);
      turn(cell.firstElementChild, it.outcome);
    });
    const bornKey = ([outcome, words]) => {
      const sign = make("span.cell", glyph(outcome));
      mark(sign, "data-outcome", outcome);
      return make("li", sign, make("span", words), make("b"));
    };
    keep(part(this, ".legend"), Object.entries(OUTCOMES), ([outcome]) => outcome, bornKey, (key, [outcome]) => {
      const count = counts[outcome] ?? 0;
      mark(key, "data-empty", count === 0);
      write(part(key, "b"), figure("", count));
    });
    this.tell();
  }

  /** The arrow keys go from cell to cell. */
  step(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const last = this.customers.length - 1;
    this.choose(Math.min(last, Math.max(0, (this.chosen ?? 0) + steps[event.key])));
  }

  choose(n) {
    this.chosen = n === undefined ? undefined : Number(n);
    for (const cell of this.list.children) mark(cell, "aria-selected", `${Number(cell.dataset.n) === this.chosen}`);
    mark(this.list, "aria-activedescendant", this.chosen === undefined ? "" : `customer-${this.chosen}`);
    this.tell();
  }

  /** Says what is known of the one that is pointed at. */
  tell() {
    const it = this.customers?.[this.chosen], [text, link] = part(this, ".told").children;
    link.hidden = !it?.trace;
    if (!it) return write(text, "Point at a customer to see the last journey.");
    if (it.trace) link.href = `traces/${it.trace}`;
    const how = it.outcome === "idle" ? [] : [`${figure("", it.ms)} ms`, `at ${clock(it.at_ms)}`];
    const what = [`Customer ${it.n + 1} ${JOURNEYS[it.journey] ?? it.journey}`, OUTCOMES[it.outcome] ?? it.outcome, ...how, it.why];
    write(text, what.filter(Boolean).join(" · "));
  }
}

customElements.define("shop-customers", Customers);
