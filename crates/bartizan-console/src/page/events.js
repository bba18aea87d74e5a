// What has happened, told by the difference of two looks.
import { keep, at as place, make, mark, write, hide } from "./elements.js";
import { isShadow, judge, refuses } from "./mind.js";
import { clock, title } from "./words.js";

/** Events that are kept, and after how long without a refusal a handle refuses no more, in milliseconds. */
const MOST = 100, QUIET = 5_000;

const events = [];
const known = new Map();
let number = 0, seen = false;

/** Compares what the handles show with what they showed before. */
export function compare(all, at) {
  const keys = new Set();
  for (const { key, it } of all) {
    keys.add(key);
    const before = known.get(key), now = { it, refused: refuses(it), run: before?.run };
    known.set(key, now);
    if (!before) {
      if (seen) tell(at, it, "", `${it.state}, new`);
      continue;
    }
    if (before.it.state !== it.state) {
      tell(at, it, judge(it, 0).tone, `${before.it.state} → ${it.state}`, it.note);
    } else {
      if (before.it.note !== it.note && it.note && judge(it, 0).tone !== "good") tell(at, it, judge(it, 0).tone, it.note);
      for (const [name, text] of [["trips", "tripped and came back"], ["ejections", "was ejected and came back"]]) {
        if (it.layer !== "balance" && it.numbers[name] > before.it.numbers[name]) tell(at, it, "wait", text, it.note);
      }
    }
    run(now, now.refused - before.refused, at);
  }
  for (const [key, { it }] of known) {
    if (keys.has(key)) continue;
    known.delete(key);
    tell(at, it, "", "gone");
  }
  seen = true;
}

/** Refusals that follow each other are one event, which grows. */
function run(now, more, at) {
  const { it } = now;
  if (more > 0) {
    now.run ??= { event: tell(at, it, "wait", ""), count: 0, since: at };
    now.run.count += more;
    now.run.last = at;
    const calls = now.run.count === 1 ? "call" : "calls";
    now.run.event.what = `${isShadow(it) ? "would refuse" : "refuses"}: ${now.run.count.toLocaleString("en")} ${calls} so far`;
  } else if (now.run && at - now.run.last >= QUIET) {
    const { event, count, since, last } = now.run;
    const seconds = Math.max(1, Math.round((last - since) / 1000));
    event.what = `${isShadow(it) ? "would have refused" : "refused"} ${count.toLocaleString("en")} ${count === 1 ? "call" : "calls"} within ${seconds} s`;
    event.tone = "";
    now.run = undefined;
  }
}

function tell(at, it, tone, what, why) {
  const event = { number: ++number, at, it, tone, what, why };
  events.unshift(event);
  events.length = Math.min(events.length, MOST);
  return event;
}

export function draw() {
  const born = () => make("li", make("time"), make("span.what", make("b"), " ", make("span.layer"), make("span.text")));
  keep(place("events"), events, ({ number }) => number, born, (row, { at, it, tone, what, why }) => {
    const { own, common } = title(it);
    mark(row, "data-tone", tone);
    write(row.children[0], clock(at));
    const [name, layer, text] = row.children[1].children;
    write(name, common ? `${common} ${own}` : own);
    write(layer, it.layer);
    write(text, why ? `${what}: ${why}` : what);
  });
  hide(place("silence"), events.length > 0);
}
