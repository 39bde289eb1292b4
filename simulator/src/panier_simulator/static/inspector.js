// The developer's panel: the JSON of one message and how the shop's webhook address is doing.

import * as api from "./api.js";
import { h } from "./dom.js";
import { words } from "./words.js";

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function coloured(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    nodes.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const kind = match[2] ? "key" : match[1] ? "string" : match[3] ? "word" : "number";
    nodes.push(h("span", { class: `json-${kind}` }, match[1] ?? match[0]), match[2] ?? "");
  }
  return [...nodes, text.slice(end)];
}

export function inspect(message) {
  const what = message.direction === "in" ? words().webhook : words().request;
  const text = JSON.stringify(message.body, null, 2);
  const rows = [
    ["wamid", message.wamid],
    ["kind", message.kind],
    ["state", words().states[message.state] || message.state],
  ];
  const copy = h(
    "button",
    {
      class: "quiet",
      type: "button",
      onclick: async () => {
        await navigator.clipboard.writeText(text).then(
          () => (copy.textContent = words().copied),
          () => {},
        );
      },
    },
    words().copy,
  );
  document.getElementById("inspected").replaceChildren(
    h("h3", {}, what),
    h(
      "dl",
      { class: "facts" },
      rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    message.error ? h("pre", { class: "bad", tabindex: 0 }, JSON.stringify(message.error, null, 2)) : "",
    h("pre", { tabindex: 0, "aria-label": "JSON" }, coloured(text)),
    copy,
  );
}

export function clearInspector() {
  document.getElementById("inspected").replaceChildren(h("p", { class: "hint" }, words().inspectHint));
}

export async function watchWebhooks() {
  const banner = document.getElementById("banner");
  try {
    const stats = await api.webhooks();
    const rows = ["delivered", "waiting", "retried", "failing"];
    document
      .getElementById("stats")
      .replaceChildren(
        ...rows.map((name) =>
          h(
            "div",
            { class: name === "failing" && stats[name] ? "bad" : "" },
            h("dt", {}, words()[name]),
            h("dd", {}, String(stats[name])),
          ),
        ),
      );
    banner.hidden = !stats.failing;
    banner.textContent = words().doorClosed;
  } catch {
    banner.hidden = false;
    banner.textContent = words().offline;
  }
}
