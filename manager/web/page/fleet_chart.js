// Show the fleet's P&L over time: one kind and currency, over a day, a week, a month or all there is.

import { el } from "./dom.js";
import { moment, money, signClass, t } from "./format.js";
import { markRow, outagesOf } from "./marks.js";
import { curve } from "./plot.js";

/** The mark that is being read: the chart is drawn anew with each reading of the history. */
const read = {};

/** Return the ranges that can be chosen, with their names. */
function ranges() {
  return { "1d": t("24 h"), "7d": t("{count} d", { count: 7 }), "30d": t("{count} d", { count: 30 }), all: t("all") };
}

/** Return the chart of one kind and currency. `how`: what is chosen, and how else is chosen; `why` it failed. */
export function chartCard(curves, how) {
  const one = shown(curves, how.chosen);
  return el(
    "section",
    { class: "card chart" },
    el("div", { class: "head" }, el("h2", {}, t("P&L over time")), el("div", { class: "chips" }, ...rangeChips(how), ...curveChips(curves, one, how.choose))),
    ...(one ? drawn(curves, one) : [line(how.why || nothing(curves))]),
  );
}

function shown(curves, chosen) {
  const found = curves?.curves ?? [];
  return found.find((each) => keyOf(each) === chosen) ?? found.find((each) => each.kind === "live") ?? found[0];
}

function keyOf(each) {
  return `${each.kind} ${each.quote}`;
}

function nothing(curves) {
  return curves?.notes[0] ?? (curves?.end ? t("nothing has been sampled yet") : t("the history is being read"));
}

function rangeChips({ range, chooseRange }) {
  return Object.entries(ranges()).map(([name, text]) => chip(`range ${name}`, text, name === range, () => chooseRange(name)));
}

function curveChips(curves, one, choose) {
  return (curves?.curves ?? []).map((each) => chip(`curve ${keyOf(each)}`, `${t(each.kind)} ${each.quote}`, each === one, () => choose(keyOf(each))));
}

function chip(key, text, isPressed, onclick) {
  return el("button", { class: "chip", "aria-pressed": String(isPressed), "data-key": key, onclick }, text);
}

function drawn(curves, one) {
  const known = one.values.filter((value) => value !== null).map(Number);
  const last = known.at(-1);
  const extremes = { low: known.length ? money(Math.min(0, ...known)) : "–", high: known.length ? money(Math.max(0, ...known)) : "–" };
  const fall = Number(one.drawdown) > 0 ? ` · ${t("deepest fall {amount}", { amount: money(`-${one.drawdown}`) })}` : "";
  return [
    el("p", { class: "now" }, el("span", { class: `amount ${signClass(last)}` }, money(last), el("small", {}, ` ${one.quote}`)), el("small", {}, ` ${t("lowest {low}, highest {high}", extremes)}${fall}`)),
    curve(one.values, [], { begin: curves.begin, end: curves.end, outages: outagesOf(one.marks) }, [t("P&L")]),
    markRow(one.marks, curves.begin, curves.end, read),
    el("div", { class: "axis" }, el("span", {}, moment(curves.begin)), el("span", {}, moment(curves.end))),
    known.length < one.values.length ? line(t("grey: not observed, nothing is known")) : "",
    ...curves.notes.map((note) => line(note)),
  ];
}

function line(text) {
  return el("p", { class: "small" }, text);
}
