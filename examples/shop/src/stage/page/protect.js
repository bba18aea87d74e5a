// Protections: the file with their values, and a switch for each layer of each call. Who has the token can switch.
import { keep, make, mark, name, part, write } from "./elements.js";
import { say } from "./drawer.js";
import { ask, send } from "./source.js";
import { group, title, tone } from "./words.js";

class Protections extends HTMLElement {
  asking = 0;

  connectedCallback() {
    const file = make("p.file", make("span.name"), " ", make("span.state"), " ", make("span.faint"));
    const button = (words, act) => {
      const button = Object.assign(make("button", words), { type: "button" });
      button.addEventListener("click", act);
      return button;
    };
    const all = (on) => () => this.send("POST", { call: "all", layer: "all", on });
    this.append(make("div.quick", button("All on", () => this.send("DELETE")), button("All off", all(false))), file, make("div.calls"));
  }

  /** Draws what the config service tells of its file, and asks for the switches when something has changed. */
  draw(layers) {
    const config = layers.find((it) => it.layer === "config"), file = part(this, ".file");
    file.hidden = !config;
    if (config) {
      mark(file, "data-tone", tone(config));
      write(part(file, ".name"), config.name);
      write(part(file, ".state"), config.state);
      write(part(file, ".faint"), config.note ? `${config.note} – what was in force stays` : "");
    }
    const changes = config?.numbers.changes ?? 0;
    if (this.known === changes) return;
    this.known = changes;
    this.ask();
  }

  /** Asks for all switches; of two answers, the one to the later question counts. */
  async ask() {
    const mine = ++this.asking, told = await ask("protections");
    if (!told) this.known = undefined;
    else if (mine === this.asking) this.drawCalls(told.protections);
  }

  drawCalls(protections) {
    const calls = [...group(protections, (it) => it.call)].map(([name, layers]) => ({ name, layers }));
    const born = (call) => make("fieldset", make("legend", title(call)), make("div.switches"));
    keep(part(this, ".calls"), calls, name, born, (set, { layers }) => {
      keep(part(set, "div"), layers, (it) => it.layer, (it) => this.bornSwitch(it), (place, it) => {
        part(place, "input").checked = it.on;
      });
    });
  }

  bornSwitch({ call, layer }) {
    const box = Object.assign(make("input"), { type: "checkbox" });
    mark(box, "role", "switch");
    mark(box, "aria-label", `${layer} of ${title({ name: call })}`);
    box.addEventListener("change", () => this.send("POST", { call, layer, on: box.checked }));
    return make("label.flip", box, make("span", layer));
  }

  /** Switches, and says what came of it. What is shown then is what ops has. */
  async send(method, wish) {
    const what = wish && wish.call !== "all" ? `${wish.layer} of ${title({ name: wish.call })}` : "all";
    const { problem } = await send(method, "protections", wish);
    say(`${what}: ${wish?.on === false ? "off" : "on"}`, problem);
    this.ask();
  }
}

customElements.define("shop-protections", Protections);
