// Brings what is told to those who draw it: /stage has the verdict, the customers and the last five minutes, /stream every layer.
import "./calls.js";
import "./customers.js";
import "./lists.js";
import "./load.js";
import "./map.js";
import "./protect.js";
import "./tables.js";
import "./timeline.js";
import { show, start } from "./drawer.js";
import { keep, make, mark, part, write } from "./elements.js";
import { left, words } from "./faults.js";
import { ask, askOften, follow, takeToken } from "./source.js";

const at = (id) => document.getElementById(id);
const drawn = (name) => part(document, `shop-${name}`);

/** News come twice a second from the stage, and from the layers at every change or every five seconds. */
const QUIET = { stage: 5_000, layers: 12_000 };
const heard = {};

/** Read aloud at most so often: a share that goes up and down is not to drown everything else. */
const ALOUD = 5_000;
let aloud = 0;

function arriveStage(stage) {
  heard.stage = performance.now();
  const { verdict, scene } = stage;
  write(at("verdict"), verdict.sentence);
  mark(at("verdict"), "data-tone", verdict.tone);
  if (performance.now() - aloud > ALOUD) {
    aloud = performance.now();
    write(at("aloud"), verdict.sentence);
  }
  at("scene").hidden = !scene;
  if (scene) {
    write(part(at("scene"), "b"), `${scene.n} of ${scene.of} · ${scene.title}`);
    write(part(at("scene"), "span"), scene.caption);
  }
  drawn("customers").draw(stage);
  drawn("timeline").draw(stage);
  tell();
}

/** The layers change many times a second; they are drawn a few times. */
let latest;

function arriveLayers(layers) {
  heard.layers = performance.now();
  latest = layers;
}

function drawLayers() {
  if (!latest) return;
  const layers = latest;
  latest = undefined;
  drawn("map").layers = layers;
  for (const name of ["map", "calls", "orders", "invariants", "endpoints", "doors", "protections"]) drawn(name).draw(layers);
  for (const section of document.querySelectorAll("main > section[data-layer]")) {
    section.hidden = !layers.some((it) => it.layer === section.dataset.layer);
  }
  tell();
}

/** Says how old the news are. */
function tell() {
  const silent = Math.max(...Object.entries(QUIET).map(([what, quiet]) => performance.now() - (heard[what] ?? 0) - quiet));
  const asked = Object.keys(QUIET).every((what) => what in heard), old = silent > 0 && performance.now() > QUIET.stage;
  mark(at("news"), "data-tone", old ? "bad" : "");
  document.body.classList.toggle("old", old);
  write(at("news"), old ? "The shop does not answer. What is shown is old." : asked ? "live" : "asking");
}

/** What is done to the shop now, beside the verdict. */
function drawFaults(faults) {
  const born = () => make("li");
  keep(at("done"), faults.slice(0, 4), ({ id }) => id, born, (chip, it) => write(chip, `${words(it)}, ${left(it)} s`));
  drawn("map").faults = faults;
}

takeToken();
start();
document.addEventListener("aim", ({ detail, target }) => {
  show("faults", target.querySelector(`[data-target="${detail}"]`));
  drawn("faults").aim(detail);
});
document.addEventListener("faults", ({ detail }) => drawFaults(detail));
ask("stage").then((stage) => {
  if (stage) arriveStage(stage);
  follow("stage/stream", "stage", arriveStage);
});
follow("stream", "layers", arriveLayers);
askOften("faults", 1_000, (told) => drawn("faults").draw(told));
askOften("load", 1_000, (told) => drawn("load").draw(told), () => drawn("load").checkVisibility());
askOften("incidents?limit=12", 2_000, ({ incidents }) => drawn("incidents").draw(incidents));
askOften("traces?sort=slowest&limit=6", 2_000, ({ traces }) => drawn("traces").draw(traces));
ask("faults/choices").then((choices) => {
  if (!choices) return;
  drawn("map").targets = new Set(choices.targets);
  drawn("faults").offer(choices);
});
setInterval(drawLayers, 250);
setInterval(tell, 1_000);
