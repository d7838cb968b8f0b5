// Mark what happened on a curve: starts, exits, outages; each says more when it is chosen.

import { el, refill } from "./dom.js";
import { labelled, moment, t } from "./format.js";

const MOST_SAID = 8;
const NARROW = "(max-width: 899px)";

/** Return a row of marks below a curve from `begin` to `end`; those that are near each other are one. `kept`: which one is being read, for a curve that is drawn anew. */
export function markRow(marks, begin, end, kept = {}) {
  if (!marks.length || !(end > begin)) return "";
  const columns = window.matchMedia(NARROW).matches ? 12 : 24;
  const said = el("div", { class: "said", "aria-live": "polite" });
  const buttons = [...grouped(marks, begin, end, columns)].map(([column, members]) => {
    const lines = textsOf(members);
    const read = () => refill(said, ...lines.map((line) => el("p", { class: "small" }, line)));
    if (members.some((each) => idOf(each) === kept.id)) read();
    const isBad = members.some((each) => each.what !== "start");
    const button = el(
      "button",
      {
        class: `event-mark ${isBad ? "bad" : ""}`,
        title: lines.join("\n"),
        "aria-label": lines.join("; "),
        "data-key": `mark ${idOf(members[0])}`,
        onclick: () => {
          kept.id = idOf(members[0]);
          read();
        },
      },
      "▲",
      members.length > 1 ? el("small", {}, members.length) : "",
    );
    button.style.gridColumn = String(column + 1);
    return button;
  });
  return el("div", { class: "mark-place" }, el("div", { class: "mark-row" }, ...buttons), el("p", { class: "small" }, t("▲ starts, exits, outages: select one to read it")), said);
}

/** Return the times of the outages among the marks, joined where several overlap: a curve shades them. */
export function outagesOf(marks) {
  const found = [];
  for (const { what, at, until } of marks) {
    if (what !== "outage") continue;
    const end = until ?? Infinity;
    const last = found.at(-1);
    if (last && at <= last.until) last.until = Math.max(last.until, end);
    else found.push({ at, until: end });
  }
  return found;
}

/** Return what happened to any bot over the last day, newest first: the content of a card; nothing if nothing did. */
export function happened(curves) {
  const marks = new Map((curves?.curves ?? []).flatMap((each) => each.marks).map((each) => [idOf(each), each]));
  const newest = [...marks.values()].sort((one, other) => one.at - other.at);
  if (!newest.length) return [];
  return [el("h2", {}, t("What happened")), el("ul", { class: "events" }, ...textsOf(newest).reverse().map((line) => el("li", {}, line)))];
}

function idOf(mark) {
  return `${mark.instance} ${mark.at} ${mark.what}`;
}

function grouped(marks, begin, end, columns) {
  const found = new Map();
  for (const each of marks) {
    const share = Math.min(1, Math.max(0, (each.at - begin) / (end - begin)));
    const column = Math.min(columns - 1, Math.floor(share * columns));
    found.set(column, [...(found.get(column) ?? []), each]);
  }
  return found;
}

/** Return what happened with its own words behind it, which may begin with the same ones: "exit code 1". */
export function named(name, text) {
  return !text || text.startsWith(name) ? text || name : `${name} ${text}`;
}

function textsOf(members) {
  const names = { start: t("started again"), exit: t("exit"), outage: t("outage") };
  const lines = members.slice(-MOST_SAID).map((each) => {
    const time = each.until === null ? moment(each.at) : `${moment(each.at)} – ${moment(each.until)}`;
    return `${time} ${labelled(each.instance, named(names[each.what], each.text))}`;
  });
  const more = members.length - lines.length;
  if (!more) return lines;
  return [more === 1 ? t("and 1 earlier one") : t("and {count} earlier ones", { count: more }), ...lines];
}
