// Tables: whom each call can go to and how they are, and whom each service lets in.
import { keep, make, mark, name, part, write } from "./elements.js";
import { UNBOUNDED, arrow, figure, title, tone } from "./words.js";

/** A table with a row for each item, and a column for each thing that is told of it. */
class Table extends HTMLElement {
  /** @param rows what stands in each row: `{ key, head, faint, state, tone, cells }` */
  fill(first, columns, rows) {
    if (!this.firstElementChild) this.append(born(this.getAttribute("label"), [first, "state", ...columns]));
    keep(part(this, "tbody"), rows, ({ key }) => key, () => bornRow(columns), (row, it) => {
      write(part(row, ".name"), it.head);
      write(part(row, ".faint"), it.faint);
      mark(row.cells[1], "data-tone", it.tone);
      write(part(row.cells[1], "span"), it.state);
      part(row.cells[1], "span").classList.toggle("state", it.tone !== "");
      columns.forEach((column, n) => write(part(row.cells[n + 2], "span"), it.cells[column]));
    });
  }
}

class Endpoints extends Table {
  /** The services tell which instance listens on a port. */
  draw(layers) {
    const services = layers.filter((it) => it.layer === "service");
    const instances = new Map(services.map((it) => [`${it.numbers.port}`, it.name]));
    const endpoints = layers.filter((it) => it.layer === "endpoint").sort((a, b) => (a.name < b.name ? -1 : 1));
    const rows = endpoints.map((it) => {
      const [call, at] = split(it.name);
      const faint = instances.get(at.split(":").pop()) ?? at;
      return { key: it.name, head: arrow(call), faint, state: it.state, tone: tone(it), cells: endpoint(it) };
    });
    this.fill("endpoint", ["latency", "in flight", "ejections", "heartbeat", "note"], rows);
  }
}

/** The call, and the host and port that it can go to. Between them stands the scheme of a URL. */
function split(name) {
  const [call, scheme, , at] = name.split("/");
  return [call, at ?? scheme ?? ""];
}

function endpoint({ note, numbers }) {
  const { latency_seconds: latency, in_flight: flight, ejections } = numbers;
  const { ejected_for_seconds: left, heartbeat_age_seconds: heard } = numbers;
  return {
    latency: latency ? figure("_ms", latency * 1e3) : "–",
    "in flight": figure("", flight),
    ejections: figure("", ejections),
    heartbeat: heard === undefined ? "–" : `${figure("_s", heard)} ago`,
    note: [note, left && `back in ${Math.ceil(left)} s`].filter(Boolean).join(", "),
  };
}

/** Before which services stands a shed; those before the calls are on their cards. */
class Doors extends Table {
  draw(layers) {
    const sheds = layers.filter((it) => it.layer === "shed" && !it.name.includes("->"));
    const crowd = layers.find((it) => it.layer === "load" && it.state === "here");
    const rows = sheds.sort((a, b) => (a.name < b.name ? -1 : 1)).map((it) => {
      const faint = crowd?.name === it.name ? crowded(crowd) : "";
      return { key: name(it), head: title(it), faint, state: it.state, tone: tone(it), cells: door(it) };
    });
    this.fill("service", ["in flight", "queued", "admitted", "refused critical", "refused normal", "refused sheddable", "note"], rows);
  }
}

function door({ note, numbers }) {
  const { in_flight: flight, limit, queued, admitted, refused_critical, refused_normal, refused_sheddable } = numbers;
  return {
    "in flight": limit < UNBOUNDED ? `${figure("", flight)} of ${figure("", limit)}` : figure("", flight),
    queued: figure("", queued),
    admitted: figure("", admitted),
    "refused critical": figure("", refused_critical),
    "refused normal": figure("", refused_normal),
    "refused sheddable": figure("", refused_sheddable),
    note: note ?? "",
  };
}

/** What becomes of the crowd that is here. */
function crowded({ numbers: { a_second: rate, offered, served, stale, refused, failed } }) {
  const parts = [[served, "served"], [stale, "saw an older page"], [refused, "refused"], [failed, "failed"]];
  const told = parts.filter(([number]) => number).map(([number, what]) => `${figure("", number)} ${what}`);
  return `a crowd, ${figure("", rate)} a second: ${[`${figure("", offered)} came`, ...told].join(", ")}`;
}

const cell = (kind, column, ...inside) => make(column === "state" || column === "note" ? `${kind}.text` : kind, ...inside);

function born(label, columns) {
  const heads = columns.map((column) => Object.assign(cell("th", column, column), { scope: "col" }));
  const scroll = make("div.scroll", make("table", make("thead", make("tr", ...heads)), make("tbody")));
  scroll.tabIndex = 0;
  mark(scroll, "role", "region");
  mark(scroll, "aria-label", label);
  return scroll;
}

function bornRow(columns) {
  const head = Object.assign(make("th", make("span.name"), " ", make("span.faint")), { scope: "row" });
  return make("tr", head, ...["state", ...columns].map((column) => cell("td", column, make("span"))));
}

customElements.define("shop-endpoints", Endpoints);
customElements.define("shop-doors", Doors);
