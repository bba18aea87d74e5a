// What can be done with a handle: its verbs as buttons and switches, and its settings as fields.
import { keep, make, mark, part, write } from "./elements.js";
import { isShadow } from "./mind.js";
import { order } from "./source.js";
import { isEndless, label, sentence, unit } from "./words.js";

/** What hurts calls asks twice. */
const RISKY = new Set(["force_open", "disable", "eject", "drain", "clear"]);
/** How long it waits for the second press, in milliseconds. */
const SURE = 4000;

/** Which verbs are as good as done. */
const DONE = {
  force_open: ({ state }) => state === "forced open",
  half_open: ({ state }) => state === "half-open",
  disable: ({ state }) => state === "disabled" || state === "off",
  shadow: isShadow,
  drain: ({ state }) => state === "draining",
  eject: ({ state }) => state === "ejected",
};

export function born() {
  const said = make("p.said");
  mark(said, "role", "status");
  return make("details.change", make("summary", "Change"), make("div.verbs"), make("div.settings"), said);
}

/** Draws what the handle can be told. */
export function draw(box, it) {
  box.handle = it;
  if (!box.open) return;
  const toggles = it.verbs.includes("enable") && it.verbs.includes("disable");
  const verbs = it.verbs.filter((verb) => !toggles || (verb !== "enable" && verb !== "disable"));
  keep(part(box, ".verbs"), toggles ? ["switch", ...verbs] : verbs, String, (verb) => (verb === "switch" ? bornSwitch(box) : bornVerb(box, verb)), (button, verb) => {
    if (verb === "switch") mark(button, "aria-checked", String(!DONE.disable(it)));
    else if (DONE[verb]) mark(button, "aria-pressed", String(DONE[verb](it)));
  });
  keep(part(box, ".settings"), Object.entries(it.settings), ([name]) => name, ([name]) => bornSetting(box, name), (row, [, value]) => {
    const field = part(row, "input");
    if (row.dataset.dirty !== "yes" && document.activeElement !== field) show(field, value);
  });
}

const show = (field, value) => { field.value = isEndless(value) ? "" : value ?? ""; };

function bornVerb(box, verb) {
  const button = Object.assign(make("button", sentence(label(verb))), { type: "button" });
  button.addEventListener("click", () => ask(box, button, verb));
  return button;
}

function bornSwitch(box) {
  const button = Object.assign(make("button.toggle", make("span.knob"), make("span", "Enabled")), { type: "button" });
  mark(button, "role", "switch");
  button.addEventListener("click", () => ask(box, button, button.getAttribute("aria-checked") === "true" ? "disable" : "enable"));
  return button;
}

/** Does it at once, or at the second press. */
function ask(box, button, verb) {
  const text = button.lastElementChild ?? button;
  const calm = () => {
    clearTimeout(button.timer);
    button.timer = undefined;
    write(text, button.calm);
    button.classList.remove("sure");
  };
  if (RISKY.has(verb) && button.timer === undefined) {
    button.calm = text.textContent;
    write(text, `Press again to ${label(verb)}`);
    button.classList.add("sure");
    button.timer = setTimeout(calm, SURE);
    button.addEventListener("blur", calm, { once: true });
    return;
  }
  if (button.timer !== undefined) calm();
  send(box, { verb }, `${sentence(label(verb))}: done.`);
}

function bornSetting(box, name) {
  const field = Object.assign(make("input"), { type: "number", step: "any", required: true, placeholder: "no limit" });
  const button = Object.assign(make("button", "Set"), { type: "button" });
  mark(button, "aria-label", `Set ${label(name)}`);
  const row = make("div.setting", make("label", make("span", label(name)), field, make("span.faint", unit(name))), button);
  const set = async () => {
    if (!field.checkValidity()) return write(part(box, ".said"), `${sentence(label(name))} is a number.`);
    if (await send(box, { set: { [name]: field.valueAsNumber } }, `${sentence(label(name))}: set.`)) row.dataset.dirty = "";
  };
  field.addEventListener("input", () => { row.dataset.dirty = "yes"; });
  field.addEventListener("keydown", ({ key }) => {
    if (key === "Enter") set();
    if (key === "Escape") { row.dataset.dirty = ""; show(field, box.handle.settings[name]); }
  });
  button.addEventListener("click", set);
  return row;
}

async function send(box, what, done) {
  const wrong = await order(box.handle, what);
  const said = part(box, ".said");
  mark(said, "data-tone", wrong ? "bad" : "good");
  write(said, wrong || done);
  return !wrong;
}
