// The drawer: what can be done to the shop. It stands beside the page, so that one sees what comes of it.
import { mark, part, write } from "./elements.js";
import { keepToken, onToken } from "./source.js";

const drawer = document.getElementById("drawer");
const tabs = [...drawer.querySelectorAll("[role=tab]")];
let opener;

/** Shows one of the tabs, and opens the drawer for it. */
export function show(id, from) {
  for (const tab of tabs) {
    const chosen = tab.id === `tab-${id}`;
    mark(tab, "aria-selected", `${chosen}`);
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
    if (chosen && from) opener = from;
  }
  if (!drawer.open) drawer.show();
  document.body.classList.add("drawn");
  for (const button of document.querySelectorAll("[data-opens]")) mark(button, "aria-expanded", `${button.dataset.opens === id}`);
  tabs.find((tab) => tab.tabIndex === 0).focus();
}

function close() {
  drawer.close();
  document.body.classList.remove("drawn");
  for (const button of document.querySelectorAll("[data-opens]")) mark(button, "aria-expanded", "false");
  opener?.focus();
}

/** Makes the buttons open it, and the keyboard go through it. */
export function start() {
  for (const button of document.querySelectorAll("[data-opens]")) button.addEventListener("click", () => show(button.dataset.opens, button));
  part(drawer, ".close").addEventListener("click", close);
  drawer.addEventListener("keydown", (event) => event.key === "Escape" && close());
  for (const tab of tabs) tab.addEventListener("click", () => show(tab.id.slice("tab-".length)));
  part(drawer, "[role=tablist]").addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 }, at = tabs.indexOf(event.target);
    if (!(event.key in steps) || at < 0) return;
    event.preventDefault();
    tabs[(at + steps[event.key] + tabs.length) % tabs.length].click();
  });
  const asked = part(drawer, "#token");
  asked.addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(part(asked, "input").value.trim());
    part(asked, "input").value = "";
    // The form is gone now, and whoever typed is at what the token was asked for.
    part(drawer, "[role=tabpanel]:not([hidden]) button").focus();
  });
  part(drawer, "#forget button").addEventListener("click", () => keepToken(""));
  onToken((there) => {
    asked.hidden = there;
    part(drawer, "#forget").hidden = !there;
  });
}

/** Says what came of a wish. */
export function say(text, problem) {
  const said = part(drawer, "#said");
  mark(said, "data-tone", problem ? "bad" : "good");
  write(said, problem ?? text);
  if (problem && !part(drawer, "#token").hidden) part(drawer, "#token input").focus();
}
