// Load: the crowd at the gateway, and what every place admits, has in flight and refuses.
import { facts, keep, make, mark, name, part, write } from "./elements.js";
import { figure, title, tone } from "./verdict.js";

const FRONT = "gateway";

/** A limit beyond this is none. */
const UNBOUNDED = 1e9;

/** Takes the crowd and the sheds out of the layers: the one before the gateway first, then in the order of their names. */
export function places(layers) {
  const of = (kind) => layers.filter((it) => it.layer === kind);
  const crowd = of("load").find((it) => it.name === FRONT);
  const first = (it) => (it.name === FRONT ? 0 : 1);
  const sheds = of("shed").sort((a, b) => first(a) - first(b) || (a.name < b.name ? -1 : 1));
  return sheds.map((shed) => ({ name: shed.name, shed, crowd: shed.name === FRONT ? crowd : undefined }));
}

/** A card for each place. Those where nobody was refused and nobody is are one line less. */
export function drawLoad(body, places) {
  const born = (place) => {
    const [bar, flight] = [make("meter"), make("span.faint")];
    // The bar says the same in words.
    mark(flight, "aria-hidden", "true");
    mark(bar, "aria-label", "in flight");
    return make("article.place", make("h3", title(place)), make("p.state"), make("p.wide.crowd"), make("div.wide.purse", bar, flight), make("dl.wide.facts"), make("p.wide.note.faint"));
  };
  keep(body, places, name, born, (card, { shed, crowd }) => {
    mark(card, "data-tone", tone(shed));
    write(part(card, ".state"), shed.state);
    write(part(card, ".crowd"), crowd ? told(crowd) : "");
    drawFlight(card, shed.numbers);
    facts(part(card, "dl"), refusals(shed.numbers));
    write(part(card, ".note"), shed.note ?? "");
  });
}

/** What became of the crowd, the last one if there is none. */
function told({ state, numbers: { a_second: rate, offered, served, stale, refused, failed } }) {
  if (!offered) return state === "here" ? `A crowd comes, ${figure("", rate)} a second.` : "";
  const came = state === "here" ? `A crowd is here, ${figure("", rate)} a second` : "The crowd is gone";
  const old = stale ? ` (${figure("", stale)} of them something old)` : "";
  const rest = failed ? `, ${figure("", failed)} failed` : "";
  return `${came}: ${figure("", offered)} came, ${figure("", served)} were served${old}, ${figure("", refused)} refused${rest}.`;
}

function drawFlight(card, { in_flight: flight, limit }) {
  const bar = part(card, "meter"), bounded = limit < UNBOUNDED;
  const text = bounded ? `${figure("", flight)} of ${figure("", limit)} in flight` : `${figure("", flight)} in flight`;
  bar.hidden = !bounded;
  [bar.max, bar.value] = bounded ? [Math.max(1, limit), Math.min(flight, limit)] : [1, 0];
  mark(bar, "aria-valuetext", text);
  write(part(card, ".purse span"), text);
}

/** Who was admitted, who waits, and who was refused, by their priority. */
function refusals(numbers) {
  const { queued, admitted, refused_critical, refused_normal, refused_sheddable } = numbers;
  return { queued, admitted, "refused critical": refused_critical, "refused normal": refused_normal, "refused sheddable": refused_sheddable };
}
