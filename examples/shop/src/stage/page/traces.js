// Draws what ops tells at /traces: the requests that took the longest, and how much each led to.
import { keep, make, mark, part, write } from "./elements.js";

const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

export function drawTraces(body, traces) {
  const born = ({ trace_id }) => {
    const link = make("a.name");
    link.href = `traces/${trace_id}`;
    return make("li", link, make("span.state"), make("span.faint"));
  };
  keep(body, traces, ({ trace_id }) => trace_id, born, (row, it) => {
    mark(row, "data-tone", it.failed ? "bad" : "good");
    write(part(row, ".name"), it.name);
    write(part(row, ".state"), `${it.took_ms.toFixed(0)} ms`);
    const failed = it.failed ? `${it.failed} failed` : "";
    const where = `${it.spans} spans of ${it.instances.length} instances`;
    write(part(row, ".faint"), [clock(it.began_at), where, failed].filter(Boolean).join(" · "));
  });
}
