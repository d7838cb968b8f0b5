// Choose what is shown: by mode, tag, exchange, state and words, in an order.

import { el, refill } from "./dom.js";
import { labelled, t } from "./format.js";
import { isOfKind } from "./model.js";
import { model, places } from "./state.js";

/** Make the search, the order and the choices. `drawBots` is called when one of them is changed. */
export function makeFilters(drawBots) {
  places.filters = el("div", { class: "chips filters" });
  places.exchange = choice("exchange", t("exchange"), drawBots);
  places.state = choice("state", t("State"), drawBots);
  places.search = el("input", {
    type: "search",
    "aria-label": t("search"),
    placeholder: t("search"),
    oninput: (event) => {
      model.filter.words = event.target.value;
      drawBots();
    },
  });
  places.sort = el(
    "select",
    {
      "aria-label": t("order"),
      onchange: (event) => {
        model.filter.sort = event.target.value;
        drawBots();
      },
    },
    el("option", { value: "worst" }, t("worst first")),
    el("option", { value: "today" }, t("lowest today first")),
    el("option", { value: "pnl" }, t("lowest of the run first")),
    el("option", { value: "id" }, t("by name")),
  );
  places.search.value = model.filter.words;
  places.sort.value = model.filter.sort;
}

/** Return a choice among what the bots have of something. */
function choice(name, title, drawBots) {
  return el("select", {
    "aria-label": title,
    "data-title": title,
    onchange: (event) => {
      model.filter[name] = event.target.value;
      drawBots();
    },
  });
}

/** Draw a choice among values, each with the word for it. */
function drawChoice(element, chosen, words) {
  element.hidden = words.length < 2 && !chosen;
  const all = !chosen || words.some(([value]) => value === chosen) ? words : [...words, [chosen, t(chosen)]];
  const known = JSON.stringify(all);
  if (element.dataset.values !== known) {
    element.dataset.values = known;
    refill(element, el("option", { value: "" }, labelled(element.dataset.title, t("all"))), ...all.map(([value, word]) => el("option", { value }, word)));
  }
  element.value = chosen;
}

/** Draw the buttons with their counts, and the choices. */
export function drawFilters(drawBots) {
  const { filter } = model;
  const all = [...model.instances.values()];
  const kinds = { all: t("all"), live: t("live"), paper: t("paper"), needs: t("needs a person") };
  const chip = (key, isOn, text, onclick) => el("button", { class: "chip", "aria-pressed": String(isOn), "data-key": key, onclick }, text);
  const found = Object.entries(kinds).map(([kind, name]) =>
    chip(`kind ${kind}`, filter.kind === kind, `${name} ${all.filter((each) => isOfKind(each, kind)).length}`, () => {
      filter.kind = kind;
      drawFilters(drawBots);
      drawBots();
    }),
  );
  const tags = model.tags().map((tag) =>
    chip(`tag ${tag}`, filter.tag === tag, `#${tag}`, () => {
      filter.tag = filter.tag === tag ? "" : tag;
      drawFilters(drawBots);
      drawBots();
    }),
  );
  refill(places.filters, ...found, ...tags);
  drawChoice(places.exchange, filter.exchange, model.exchanges().map((name) => [name, name]));
  drawChoice(places.state, filter.state, model.states());
}
