// Draw the bots, and what is done with those that are selected.

import { isForIt, verbNames } from "./actions.js";
import { BULK_VERBS, openBulk } from "./bulk.js";
import { el, refill } from "./dom.js";
import { t } from "./format.js";
import { openLogs } from "./logs.js";
import { botRow } from "./rows.js";
import { model, parts, places } from "./state.js";
import { may } from "./stream.js";

const rows = new Map();

/** Forget the rows: they are made again, in another language or for another reader. */
export function forgetRows() {
  rows.clear();
}

/** Draw the bots that the filters let through; a row that has not changed stays. */
export function drawBots(open) {
  const shown = model.shown();
  const kept = new Set(shown.map((each) => each.id));
  for (const [id, row] of rows) {
    if (!kept.has(id)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  shown.forEach((each, index) => {
    let row = rows.get(each.id);
    if (!row || row.of !== each) {
      const element = botRow(each, open, select);
      if (row) replaceRow(row.element, element);
      row = { of: each, element };
      rows.set(each.id, row);
    }
    const place = places.list.children[index];
    if (place !== row.element) places.list.insertBefore(row.element, place ?? null);
  });
  drawBulk();
  places.none.textContent = shown.length ? "" : model.instances.size ? t("no instances match") : t("no instances: create a config in config/active with `manager new`");
}

function replaceRow(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement.tagName : "";
  before.replaceWith(after);
  if (focused) after.querySelector(focused)?.focus({ preventScroll: true });
}

const select = {
  isSelected: (id) => model.selected.has(id),
  choose: (id, isOn) => {
    if (isOn) model.selected.add(id);
    else model.selected.delete(id);
    drawBulk();
  },
};

function drawBulk() {
  const shown = model.shown().map((each) => each.id);
  const chosen = model.chosen();
  const chip = (key, text, onclick) => el("button", { class: "chip", "data-key": `bulk ${key}`, onclick }, text);
  const all = (isOn) => {
    for (const id of shown) select.choose(id, isOn);
    for (const box of places.list.querySelectorAll("input[type=checkbox]")) box.checked = isOn;
  };
  const names = verbNames();
  const forIt = (verb) => model.chosen().filter((id) => isForIt(model.instances.get(id), verb));
  const verbs = BULK_VERBS.filter((verb) => may("operate") && forIt(verb).length).map((verb) => chip(verb, `${names[verb]}…`, () => openBulk(parts.detail, verb, names[verb], forIt(verb))));
  refill(
    places.bulk,
    chosen.length ? el("span", { class: "small" }, t("{count} selected", { count: chosen.length })) : "",
    chosen.length ? verbs : "",
    chosen.length ? chip("all", t("Select none"), () => all(false)) : shown.length ? chip("all", t("Select all"), () => all(true)) : "",
    shown.length ? chip("log", chosen.length ? t("Log of these") : t("Log of all"), () => openLogs(parts.detail, t("Log"), model.chosen())) : "",
  );
}
