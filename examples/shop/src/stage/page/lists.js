// Lists: the orders by the step of their saga, the invariants, what went wrong, and the requests that took the longest.
import { facts, keep, make, mark, name, part, told, write } from "./elements.js";
import { STEPS, clock, count, figure, title, tone } from "./words.js";

const seconds = (from, to) => `${((to - from) / 1000).toFixed(1)} s`;
const bornRow = (first) => make("li", first, make("span.state"), make("span.faint"));

class Orders extends HTMLElement {
  draw(layers) {
    const [orders] = layers.filter((it) => it.layer === "orders");
    if (!orders) return;
    if (!this.firstElementChild) this.append(make("ul.steps"), make("dl.facts"));
    const born = (step) => make("li.step", make("b"), make("span", step));
    keep(part(this, "ul"), STEPS, String, born, (box, step) => {
      const there = count(orders.numbers, step), ended = step === "CONFIRMED" || step === "CANCELLED";
      mark(box, "data-step", step);
      mark(box, "data-empty", there === 0);
      mark(box, "data-tone", there === 0 ? "" : ended ? "good" : "wait");
      write(part(box, "b"), figure("", there));
    });
    facts(part(this, "dl"), orders.numbers, STEPS.flatMap((step) => [step, step.toLowerCase()]));
  }
}

class Invariants extends HTMLElement {
  draw(layers) {
    if (!this.firstElementChild) this.append(make("ul.rows"));
    const all = layers.filter((it) => it.layer === "invariant");
    keep(part(this, "ul"), all, name, (it) => bornRow(make("span.name", title(it))), (row, it) => {
      mark(row, "data-tone", tone(it));
      write(part(row, ".state"), it.state);
      const { checked, ...rest } = it.numbers;
      write(part(row, ".faint"), [`${figure("", checked)} checked`, ...told(rest), it.note].filter(Boolean).join(" · "));
    });
  }
}

/** Who saw it first. */
function witness({ detected, started, evidence }) {
  const [first] = evidence.events;
  if (detected === null || !first) return "nobody has seen it";
  return `seen after ${seconds(started, detected)} by ${first.layer} ${title(first)}: ${first.to ?? "gone"}`;
}

class Incidents extends HTMLElement {
  draw(incidents) {
    if (!this.firstElementChild) this.append(make("ul.rows"), make("p.faint", "None yet."));
    part(this, "p").hidden = incidents.length > 0;
    keep(part(this, "ul"), incidents, ({ id }) => id, () => bornRow(make("span.name")), (row, it) => {
      mark(row, "data-tone", it.resolved === null ? "bad" : "good");
      write(part(row, ".name"), `${it.type.replaceAll("_", " ")}: ${title({ name: it.cause })}`);
      write(part(row, ".state"), it.resolved === null ? "open" : `over after ${seconds(it.started, it.resolved)}`);
      const orders = it.evidence.orders_under_way;
      const waited = orders ? `${orders} orders under way at a time` : "";
      write(part(row, ".faint"), [clock(it.started), witness(it), waited].filter(Boolean).join(" · "));
    });
  }
}

class Traces extends HTMLElement {
  draw(traces) {
    if (!this.firstElementChild) this.append(make("ul.rows"), make("p.faint", "None yet."));
    part(this, "p").hidden = traces.length > 0;
    const born = ({ trace_id }) => bornRow(Object.assign(make("a.name"), { href: `traces/${trace_id}` }));
    keep(part(this, "ul"), traces, ({ trace_id }) => trace_id, born, (row, it) => {
      mark(row, "data-tone", it.failed ? "bad" : "good");
      write(part(row, ".name"), it.name);
      write(part(row, ".state"), `${it.took_ms.toFixed(0)} ms`);
      const failed = it.failed ? `${it.failed} failed` : "";
      const where = `${it.spans} spans of ${it.instances.length} instances`;
      write(part(row, ".faint"), [clock(it.began_at), where, failed].filter(Boolean).join(" · "));
    });
  }
}

customElements.define("shop-orders", Orders);
customElements.define("shop-invariants", Invariants);
customElements.define("shop-incidents", Incidents);
customElements.define("shop-traces", Traces);
