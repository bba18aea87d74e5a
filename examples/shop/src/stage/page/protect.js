// Protections: the file with their values, and a switch for each layer of each call. Who has the token can switch.
import { keep, make, mark, name, part, write } from "./elements.js";
import { group, title, tone } from "./verdict.js";

let known, asking = 0, token = "";

/** Draws what the config service tells of its file, and asks for the switches when something has changed. */
export function drawProtections(body, config) {
  if (!body.firstElementChild) body.append(...born(body));
  const file = part(body, ".file");
  mark(file, "data-tone", tone(config));
  write(part(file, ".name"), config.name);
  write(part(file, ".state"), config.state);
  write(part(file, ".faint"), config.note ? `${config.note} – what was in force stays` : "");
  if (known !== config.numbers.changes) {
    known = config.numbers.changes;
    ask(body);
  }
}

function born(body) {
  const file = make("p.file", make("span.name"), " ", make("span.state"), " ", make("span.faint"));
  const field = Object.assign(make("input"), { type: "password", autocomplete: "off", spellcheck: false });
  field.addEventListener("input", () => { token = field.value; });
  const clear = Object.assign(make("button", "All on"), { type: "button" });
  clear.addEventListener("click", () => send(body, "DELETE"));
  const said = make("p.said");
  mark(said, "role", "status");
  return [file, make("p.key", make("label", "Token ", field), clear), said, make("div.calls")];
}

/** Asks for all switches; of two answers, the one to the later question counts. */
async function ask(body) {
  const mine = ++asking;
  try {
    const answer = await fetch("protections");
    const { protections } = await answer.json();
    if (mine === asking) drawCalls(body, protections);
  } catch {
    known = undefined;
  }
}

function drawCalls(body, protections) {
  const calls = [...group(protections, (it) => it.call)].map(([name, layers]) => ({ name, layers }));
  const bornCall = (call) => make("fieldset", make("legend", title(call)), make("div.switches"));
  keep(part(body, ".calls"), calls, name, bornCall, (set, { layers }) => {
    keep(part(set, "div"), layers, (it) => it.layer, (it) => bornSwitch(body, it), (place, it) => {
      part(place, "input").checked = it.on;
    });
  });
}

function bornSwitch(body, { call, layer }) {
  const box = Object.assign(make("input"), { type: "checkbox" });
  mark(box, "role", "switch");
  mark(box, "aria-label", `${layer} of ${title({ name: call })}`);
  box.addEventListener("change", () => send(body, "POST", { call, layer, on: box.checked }));
  return make("label.switch", box, make("span", layer));
}

/** Switches, and says what came of it. What is shown then is what ops has. */
async function send(body, method, wish) {
  const what = wish ? `${wish.layer} of ${title({ name: wish.call })}` : "all";
  const headers = { authorization: `Bearer ${token}`, ...(wish ? { "content-type": "application/json" } : {}) };
  let said;
  try {
    const answer = await fetch("protections", { method, headers, body: wish && JSON.stringify(wish) });
    if (answer.ok) said = `${what}: ${wish?.on === false ? "off" : "on"}`;
    else if (answer.status === 401) said = "The token is not the one that the shop printed at its start.";
    else said = (await answer.json()).detail;
  } catch {
    said = "The shop does not answer.";
  }
  write(part(body, ".said"), said);
  ask(body);
}
