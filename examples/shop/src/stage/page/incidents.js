// Draws what ops tells at /incidents: what went wrong, who saw it, and when it was over.
import { keep, make, mark, part, write } from "./elements.js";
import { title } from "./verdict.js";

const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
const seconds = (from, to) => `${((to - from) / 1000).toFixed(1)} s`;

/** Who saw it first. */
function witness({ detected, started, evidence }) {
  const [first] = evidence.events;
  if (detected === null || !first) return "nobody has seen it";
  return `seen after ${seconds(started, detected)} by ${first.layer} ${title(first)}: ${first.to ?? "gone"}`;
}

export function drawIncidents(body, incidents) {
  const born = () => make("li", make("span.name"), make("span.state"), make("span.faint"));
  keep(body, incidents, ({ id }) => id, born, (row, it) => {
    mark(row, "data-tone", it.resolved === null ? "bad" : "good");
    write(part(row, ".name"), `${it.type.replaceAll("_", " ")}: ${title({ name: it.cause })}`);
    write(part(row, ".state"), it.resolved === null ? "open" : `over after ${seconds(it.started, it.resolved)}`);
    const orders = it.evidence.orders_under_way;
    const waited = orders ? `${orders} orders under way at a time` : "";
    write(part(row, ".faint"), [clock(it.started), witness(it), waited].filter(Boolean).join(" · "));
  });
}
