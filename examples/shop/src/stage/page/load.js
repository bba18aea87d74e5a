// Load: customers who come whether or not the shop keeps up, beside the 64.
import { facts, make, mark, part, write } from "./elements.js";
import { say } from "./drawer.js";
import { ask, send } from "./source.js";
import { figure } from "./words.js";

const TEN = 10;

class Load extends HTMLElement {
  connectedCallback() {
    const slider = Object.assign(make("input"), { type: "range", id: "load-rps", min: 10, max: 500, step: 10, value: 50 });
    const lasts = Object.assign(make("input"), { type: "number", id: "load-for", min: 1, max: 900, value: 60 });
    const only = make("select", ...["everything", "orders", "browsing"].map((value) => Object.assign(make("option", value), { value })));
    only.id = "load-only";
    const [start, ten, stop] = [make("button.main", "Start"), make("button", "× 10"), make("button", "Stop")];
    mark(ten, "aria-label", "Ten times as many");
    start.type = "submit";
    for (const button of [ten, stop]) button.type = "button";
    const form = make("form", make("label.wide", make("span", "Requests a second ", make("output")), slider), make("label", make("span", "Lasts, s"), lasts), make("label", make("span", "Only"), only), make("div.quick", start, ten, stop));
    this.append(form, make("div.heading", make("h3", "Now")), make("p.now"), make("dl.facts"));
    const tell = () => write(part(this, "output"), slider.value);
    slider.addEventListener("input", tell);
    tell();
    const wish = (times) => ({ rps: Number(slider.value) * times, for_s: Number(lasts.value), ...(only.value !== "everything" && { only: only.value }) });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send("POST", wish(1));
    });
    ten.addEventListener("click", () => this.send("POST", wish(TEN)));
    stop.addEventListener("click", () => this.send("DELETE"));
  }

  async send(method, wish) {
    const { problem } = await send(method, "load", wish);
    say(wish ? `${figure("", wish.rps)} requests a second come.` : "The load is stopped.", problem);
    const told = await ask("load");
    if (told) this.draw(told);
  }

  draw({ running, last }) {
    const now = part(this, ".now"), list = part(this, "dl");
    if (running) {
      const { state, left_s: left, goodput, p50_ms, p99_ms, outcomes } = running;
      const how = state === "gathering" ? "customers register first" : `for ${Math.ceil(left)} s still`;
      write(now, `${course(running)}, ${how}`);
      return facts(list, { goodput, p50_ms, p99_ms, ...outcomes });
    }
    if (!last) {
      write(now, "No load comes; the 64 customers are alone.");
      return facts(list, {});
    }
    const { ended, why, goodput, p50_ms, p99_ms, outcomes } = last;
    write(now, `No load comes. The last one, ${course(last)}, ${ENDS[ended] ?? ended}${why ? `: ${why}` : ""}.`);
    facts(list, { goodput, p50_ms, p99_ms, ...outcomes });
  }
}

const ENDS = { over: "is over", stopped: "was stopped", replaced: "made room for another", failed: "failed" };

/** What comes: `50 to 500 a second, orders only`. */
function course({ rps, ramp, steps, only, mix }) {
  const rates = ramp?.join(" to ") ?? steps?.join(", ") ?? figure("", rps);
  const whose = only ? `, ${only} only` : mix ? ", mixed" : "";
  return `${rates} a second${whose}`;
}

customElements.define("shop-load", Load);
