// Endpoints: whom each call can go to, and how they are.
import { keep, make, mark, name, part, write } from "./elements.js";
import { figure, title, tone } from "./verdict.js";

const TEXTS = ["state", "note"];
const COLUMNS = ["state", "latency", "in flight", "ejections", "heartbeat", "note"];

/** A table with a row for each endpoint of each call. The services tell which instance listens on a port. */
export function drawEndpoints(body, layers, services) {
  if (!body.firstElementChild) body.append(born());
  const instances = new Map(services.map((it) => [`${it.numbers.port}`, it.name]));
  keep(part(body, "tbody"), [...layers].sort((a, b) => (a.name < b.name ? -1 : 1)), name, bornRow, (row, it) => {
    const [call, at] = split(it.name);
    write(part(row, ".call"), title({ name: call }));
    write(part(row, ".faint"), instances.get(at.split(":").pop()) ?? at);
    const told = texts(it);
    COLUMNS.forEach((column, n) => write(part(row.cells[n + 1], "span"), told[column]));
    const state = row.cells[1];
    mark(state, "data-tone", tone(it));
    part(state, "span").classList.toggle("state", tone(it) !== "");
  });
}

/** The call, and the host and port that it can go to. Between them stands the scheme of a URL. */
function split(name) {
  const [call, scheme, , at] = name.split("/");
  return [call, at ?? scheme ?? ""];
}

function texts({ state, note, numbers }) {
  const { latency_seconds: latency, in_flight: flight, ejections } = numbers;
  const { ejected_for_seconds: left, heartbeat_age_seconds: heard } = numbers;
  return {
    state,
    latency: latency ? figure("_ms", latency * 1e3) : "–",
    "in flight": figure("", flight),
    ejections: figure("", ejections),
    heartbeat: heard === undefined ? "–" : `${figure("_s", heard)} ago`,
    note: [note, left && `back in ${Math.ceil(left)} s`].filter(Boolean).join(", "),
  };
}

const cell = (kind, column, ...inside) => make(TEXTS.includes(column) ? `${kind}.text` : kind, ...inside);

function born() {
  const heads = ["endpoint", ...COLUMNS].map((column) => Object.assign(cell("th", column, column), { scope: "col" }));
  const scroll = make("div.scroll", make("table", make("thead", make("tr", ...heads)), make("tbody")));
  scroll.tabIndex = 0;
  mark(scroll, "role", "region");
  mark(scroll, "aria-label", "Endpoints");
  return scroll;
}

function bornRow() {
  const head = Object.assign(make("th", make("span.call"), " ", make("span.faint")), { scope: "row" });
  return make("tr", head, ...COLUMNS.map((column) => cell("td", column, make("span"))));
}
