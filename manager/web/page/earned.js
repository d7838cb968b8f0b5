// Show what one bot earned over time: its P&L, what of it is realised, gaps, starts, exits and outages.

import { el, refill, take } from "./dom.js";
import { labelled, moment, money, signClass, t } from "./format.js";
import { markRow, outagesOf } from "./marks.js";
import { curve } from "./plot.js";
import { ask } from "./stream.js";

/** Days that can be chosen; the last ones are shown first. */
export const RANGES = [1, 7, 30];
const VALUES = 145;

/** Return the section with its choice of days. */
export function earned(id, history) {
  const section = el("section", {});
  const why = el("p", { class: "bad", role: "status" });
  const show = (days, found) => {
    const chips = RANGES.map((each) =>
      el("button", { class: "chip", "aria-pressed": String(each === days), "data-key": `days ${each}`, onclick: () => load(each) }, t("{count} d", { count: each })),
    );
    refill(section, el("div", { class: "head" }, el("h3", {}, t("What it earned over time")), el("div", { class: "chips" }, ...chips)), why, ...parts(found));
  };
  const load = async (days) => {
    const isMine = take(section);
    why.textContent = "";
    try {
      const found = await ask(`instances/${encodeURIComponent(id)}/history?days=${days}`);
      if (isMine()) show(days, found);
    } catch (error) {
      if (isMine()) why.textContent = error.message;
    }
  };
  show(RANGES.at(-1), history);
  return section;
}

function parts(history) {
  const found = history.pnl.filter((each) => each.points.length);
  return [
    history.why_not_complete ? el("p", { class: "small" }, history.why_not_complete) : "",
    ...found.flatMap((each) => one(each, history)),
    found.length ? "" : el("p", { class: "small" }, t("nothing has been sampled yet")),
  ];
}

function one(each, history) {
  const [begin, end] = [each.points[0][0], each.points.at(-1)[0]];
  const realized = history.realized.find(({ kind, quote }) => kind === each.kind && quote === each.quote);
  const marks = history.marks.filter(({ at, until }) => at <= end && (until ?? at) >= begin);
  return [
    el(
      "p",
      {},
      labelled(t(each.kind), ""),
      el("span", { class: `amount ${signClass(each.pnl)}` }, `${money(each.pnl)} ${each.quote}`),
      each.drawdown ? ` · ${t("deepest fall {amount}", { amount: `${money(`-${each.drawdown}`)} ${each.quote}` })}` : "",
      each.uncertain ? ` · ${t("a part is missing, or of another day")}` : "",
    ),
    curve(even(each.points, begin, end), realized ? even(realized.points, begin, end) : [], { begin, end, outages: outagesOf(marks) }, [t("P&L"), t("realised")]),
    markRow(marks, begin, end),
    el("div", { class: "axis" }, el("span", {}, moment(begin)), el("span", {}, moment(end))),
    el("p", { class: "small" }, realized ? t("line: with open positions; dashed: realised alone; grey: not observed; red: outage") : t("grey: not observed; red: outage")),
  ];
}

/** Return values at even distances out of [time, P&L, follows a gap], null within gaps and where there are none. */
function even(points, begin, end) {
  if (end <= begin || !points.length) return [];
  const values = [];
  let index = 0;
  for (let number = 0; number < VALUES; number += 1) {
    const at = begin + ((end - begin) * number) / (VALUES - 1);
    while (index + 1 < points.length && points[index + 1][0] <= at) index += 1;
    const next = points[index + 1];
    const isGap = next !== undefined && next[2] && at > points[index][0];
    const isBefore = at < points[0][0] - 1;
    values.push(isGap || isBefore ? null : Number(points[index][1]) - Number(points[0][1]));
  }
  return values;
}
