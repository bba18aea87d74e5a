// Faults: what is done to the shop on purpose, and how long it lasts still.
import { keep, make, mark, part, write } from "./elements.js";
import { say } from "./drawer.js";
import { ask, send } from "./source.js";
import { arrow } from "./words.js";

/** What is tried first. */
const QUICK = {
  "Kill payment": { target: "payment", kind: "kill", ttl_s: 30 },
  "Half of payment-2 fails": { target: "payment-2", kind: "error", share: 0.5, ttl_s: 60 },
  "Slow products": { target: "product", kind: "latency", ms: 300, ttl_s: 60 },
  "Lose replies of payment": { target: "payment", kind: "reply_lost", share: 0.5, ttl_s: 60 },
};

class Faults extends HTMLElement {
  connectedCallback() {
    const quick = make("div.quick", ...Object.entries(QUICK).map(([words, wish]) => {
      const button = Object.assign(make("button", words), { type: "button" });
      button.addEventListener("click", () => this.set(wish));
      return button;
    }));
    const clear = Object.assign(make("button.clear-all", "Clear all"), { type: "button" });
    clear.addEventListener("click", () => this.send("DELETE", "faults", undefined, "All faults are cleared."));
    this.append(quick, this.bornForm(), make("div.heading", make("h3", "Now"), clear), make("ul.rows"), make("p.faint.nothing", "Nothing is done to the shop."));
    setInterval(() => this.tick(), 250);
  }

  bornForm() {
    const field = (words, input, id) => make("label", make("span", words), Object.assign(input, { id: `fault-${id}`, name: id }));
    const number = (more) => Object.assign(make("input"), { type: "number", ...more });
    this.form = make("form",
      field("Target", make("select"), "target"),
      field("Kind", make("select"), "kind"),
      field("Share, %", number({ min: 1, max: 100, value: 100 }), "share"),
      field("Time, ms", number({ min: 1, max: 60_000, value: 300 }), "ms"),
      field("Lasts, s", number({ min: 1, max: 900, value: 60 }), "ttl"),
      field("Only with x-shop-fault", Object.assign(make("input"), { type: "text", maxLength: 64, placeholder: "all requests", autocomplete: "off" }), "scope"),
      Object.assign(make("button.main", "Set the fault"), { type: "submit" }));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.set(this.wish());
    });
    this.form.addEventListener("change", () => this.fits());
    return this.form;
  }

  /** Offers what can be done, and to what. */
  offer({ targets, kinds }) {
    this.kinds = kinds;
    const option = (value) => Object.assign(make("option", arrow(value).replaceAll("_", " ")), { value });
    this.field("target").replaceChildren(...targets.map(option));
    this.field("kind").replaceChildren(...kinds.map(({ kind }) => option(kind)));
    this.aim("payment");
    this.field("kind").value = "kill";
    this.fits();
  }

  /** Makes something the target. */
  aim(target) {
    this.field("target").value = target;
    this.fits();
  }

  field(name) {
    return this.form.elements.namedItem(name);
  }

  /** Only what can be done to the target can be chosen, and only what the kind has can be said. */
  fits() {
    if (!this.kinds) return;
    const target = this.field("target").value, kind = this.field("kind");
    for (const [n, { targets }] of this.kinds.entries()) kind.options[n].disabled = !targets.includes(target);
    if (kind.selectedOptions[0]?.disabled) kind.value = this.kinds.find(({ targets }) => targets.includes(target))?.kind ?? "";
    const chosen = this.kinds.find((it) => it.kind === kind.value);
    this.field("share").disabled = !chosen?.shared;
    this.field("ms").disabled = !chosen?.takes_time;
    this.field("scope").disabled = !chosen?.scoped;
  }

  wish() {
    const value = (name) => (this.field(name).disabled ? undefined : Number(this.field(name).value));
    const share = value("share"), scope = this.field("scope");
    const header = scope.disabled || !scope.value.trim() ? undefined : `x-shop-fault: ${scope.value.trim()}`;
    return { target: this.field("target").value, kind: this.field("kind").value, share: share && share / 100, ms: value("ms"), ttl_s: value("ttl"), header };
  }

  set(wish) {
    return this.send("POST", "faults", wish, `${words(wish)} is set.`);
  }

  async send(method, path, wish, done) {
    const { problem } = await send(method, path, wish);
    say(done, problem);
    const told = await ask("faults"), within = this.contains(document.activeElement);
    if (told) this.draw(told);
    // Who cleared the fault that had the focus goes on from the top.
    if (within && !this.contains(document.activeElement)) part(this, "button").focus();
  }

  draw({ faults }) {
    this.faults = faults;
    this.dispatchEvent(new CustomEvent("faults", { detail: faults, bubbles: true }));
    const born = ({ id }) => {
      const clear = Object.assign(make("button", "Clear"), { type: "button" });
      clear.addEventListener("click", () => this.send("DELETE", `faults/${id}`, undefined, "The fault is cleared."));
      return make("li", make("span.name"), make("span.left"), clear, make("span.faint"));
    };
    keep(part(this, "ul"), faults, ({ id }) => id, born, (row, it) => {
      write(part(row, ".name"), words(it));
      write(part(row, ".faint"), detail(it));
      mark(part(row, "button"), "aria-label", `Clear ${words(it)}`);
    });
    part(this, ".nothing").hidden = faults.length > 0;
    part(this, ".clear-all").disabled = faults.length === 0;
    this.tick();
  }

  /** Says between the news, too, how long each lasts still. */
  tick() {
    for (const [n, row] of [...part(this, "ul").children].entries()) {
      const it = this.faults?.[n];
      if (it) write(part(row, ".left"), `${left(it)} s left`);
    }
  }
}

export const left = ({ expires_at }) => Math.max(0, Math.ceil((expires_at - Date.now()) / 1000));

/** A fault in words: `payment: kill`. */
export const words = ({ target, kind }) => `${arrow(target)}: ${kind.replaceAll("_", " ")}`;

const detail = ({ share, ms, header }) => [share < 1 && `${Math.round(share * 100)} % of the calls`, ms && `${ms} ms`, header && `x-shop-fault: ${header}`].filter(Boolean).join(" · ");

customElements.define("shop-faults", Faults);
