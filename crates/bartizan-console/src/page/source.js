// Where the page has everything from: /layers, /stream and /history of the console, and where it writes.

let token = "";
let woken = () => {};

/** Uses a token from now on. It is kept here, and nowhere else. */
export function use(secret) {
  token = secret;
  woken();
}

const headers = (more = {}) => (token ? { authorization: `Bearer ${token}`, ...more } : more);

/** What the console lets be done. */
export const about = async () => (await fetch("console/about")).json();

/** What was seen in the last minutes; nothing where that cannot be had. */
export async function history() {
  const answer = await fetch("history", { headers: headers() });
  return answer.ok ? answer.json() : [];
}

/**
 * After so long without an event, the stream is taken for dead, in milliseconds: the console sends one every five seconds, or at each of its
 * looks where those are further apart, in seconds.
 */
const silence = (every) => Math.max(12_000, 3000 * every);

/** Reads the stream of a console that looks so often, in seconds, for good, and gives each look to `seen`. How the connection is goes to `told`. */
export async function follow(every, seen, told) {
  for (let failures = 0; ; ) {
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(), silence(every));
    let why = "gone";
    try {
      const answer = await fetch("stream", { headers: headers(), signal: stop.signal, cache: "no-store" });
      if (answer.status === 401) why = "token";
      else if (!answer.ok) why = (await answer.json()).detail;
      else {
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let rest = ""; ; ) {
          const { value, done } = await reader.read();
          if (done) break;
          clearTimeout(timer);
          timer = setTimeout(() => stop.abort(), silence(every));
          const events = (rest + value).split("\n\n");
          rest = events.pop();
          // Of events that have come together, the last one counts.
          const last = events.at(-1);
          if (last === undefined) continue;
          failures = 0;
          told("live");
          seen(JSON.parse(last.slice("data: ".length)));
        }
      }
    } catch {
      // Gone, and asked again below.
    }
    clearTimeout(timer);
    told(why);
    const pause = Math.min(5000, 250 * 2 ** failures++);
    await new Promise((wake) => {
      woken = wake;
      setTimeout(wake, pause);
    });
  }
}

/** Tells a handle what to do. Returns what went wrong, or nothing. */
export async function order({ layer, name, twin }, what) {
  const path = `layers/${encodeURIComponent(layer)}/${encodeURIComponent(name)}${twin === undefined ? "" : `?twin=${twin}`}`;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: headers({ "content-type": "application/json", "bartizan-console": "page" }),
      body: JSON.stringify(what),
    });
    return answer.ok ? "" : (await answer.json()).detail;
  } catch {
    return "The console does not answer.";
  }
}
