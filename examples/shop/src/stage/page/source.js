// Where all that is shown comes from: streams, questions that are asked again and again, and the wishes of who has the token.

/** Follows a stream. Where there is none to be had, it asks once instead, and for a stream again a little later. */
export function follow(stream, instead, arrive) {
  const events = new EventSource(stream);
  events.onmessage = (event) => arrive(JSON.parse(event.data));
  events.onerror = async () => {
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(follow, 2_000, stream, instead, arrive);
    const told = await ask(instead);
    if (told) arrive(told);
  };
}

/** What is told at a path; nothing, where nobody answers or knows. */
export async function ask(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : undefined;
  } catch {
    return undefined;
  }
}

/** Asks for what no stream tells, again and again, as long as it is wanted. */
export async function askOften(path, every, arrive, isWanted = () => true) {
  const told = isWanted() ? await ask(path) : undefined;
  if (told) arrive(told);
  setTimeout(askOften, every, path, every, arrive, isWanted);
}

/** What the token is kept by, as long as the tab is there. */
const KEPT = "shop.ops.token";
const watchers = [];

/** Calls back now, and whenever there is a token or none any more. */
export function onToken(seen) {
  watchers.push(seen);
  seen(sessionStorage.getItem(KEPT) !== null);
}

export function keepToken(token) {
  if (token) sessionStorage.setItem(KEPT, token);
  else sessionStorage.removeItem(KEPT);
  for (const seen of watchers) seen(Boolean(token));
}

/** Takes the token out of an address that ends in `#token=…`, so that nobody reads it there. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  keepToken(token);
}

/** Sends a wish, and returns whether it was granted, and the problem in words if it was not. */
export async function send(method, path, wish) {
  const token = sessionStorage.getItem(KEPT);
  if (token === null) return { problem: "The ops token is asked for. `shop up` printed it at its start." };
  const headers = { authorization: `Bearer ${token}`, ...(wish && { "content-type": "application/json" }) };
  try {
    const answer = await fetch(path, { method, headers, body: wish && JSON.stringify(wish) });
    if (answer.ok) return {};
    if (answer.status === 401) {
      keepToken("");
      return { problem: "The token is not the one that the shop printed at its start." };
    }
    const told = await answer.json().catch(() => ({}));
    return { problem: told.detail ?? `The shop answers ${answer.status}.` };
  } catch {
    return { problem: "The shop does not answer." };
  }
}
