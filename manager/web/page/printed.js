// Lay out what a command has printed: its lines as they are, and its tables so that a phone has room for them.

import { el } from "./dom.js";
import { withMinus } from "./format.js";

/** Return elements for the lines. Those of a table have tabs between their cells, and its first one has the heads. */
export function printed(lines) {
  const found = [];
  for (let at = 0; at < lines.length; ) {
    const isTable = lines[at].includes("\t");
    let end = at + 1;
    while (end < lines.length && lines[end].includes("\t") === isTable) end += 1;
    const part = lines.slice(at, end);
    found.push(isTable && part.length > 1 ? table(part.map((line) => line.split("\t"))) : el("pre", {}, part.join("\n")));
    at = end;
  }
  return found;
}

function table([heads, ...rows]) {
  const cells = (row) => row.map((text, index) => (index ? el("td", { "data-head": heads[index], class: text ? "" : "empty" }, withMinus(text)) : el("th", { scope: "row" }, text)));
  return el(
    "table",
    { class: "printed" },
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells(row)))),
  );
}
