// Show what the bots print, as they print it: of one, or of all merged by time.

import { el, refill, show, take } from "./dom.js";
import { amount, price, t } from "./format.js";
import { Stream } from "./stream.js";

const MOST_SHOWN = 1000;
const KINDS = {
  all: () => true,
  fills: (line) => line.fill !== null,
  warnings: (line) => ["warning", "error", "critical"].includes(line.level),
};

/** Return the log of these bots, of all without any; it follows until `close` of what is returned. */
export function logView(instances) {
  const state = { lines: [], kind: "all", words: "" };
  const list = el("ol", { class: "log", tabindex: "0", "aria-label": t("Log") });
  const said = el("p", { class: "small", role: "status" }, "…");
  const isShown = (line) => KINDS[state.kind](line) && textOf(line).includes(state.words);
  const isMerged = instances.length !== 1;

  const draw = () => {
    refill(list, ...state.lines.filter(isShown).slice(-MOST_SHOWN).map((line) => row(line, isMerged)));
    list.scrollTop = list.scrollHeight;
  };
  const add = (lines) => {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...lines.filter(isShown).map((line) => row(line, isMerged)));
    while (list.children.length > MOST_SHOWN) list.firstChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  };
  const query = instances.map((id) => `instance=${encodeURIComponent(id)}`).join("&");
  const say = (text) => {
    if (said.textContent !== text) said.textContent = text;
  };
  const stream = new Stream("", {
    open: () => {},
    lost: () => say(t("the log cannot be read now")),
    signedOut: () => say(t("the session is over")),
    event: (name, data) => {
      if (name === "reset") state.lines = data.lines;
      else state.lines = [...state.lines, ...data.lines].slice(-2 * MOST_SHOWN);
      if (name === "reset") draw();
      else add(data.lines);
      say(data.is_live ? (state.lines.length ? "" : t("nothing has been printed yet")) : t("the log cannot be read now"));
    },
  }, `logs${query ? `?${query}` : ""}`);
  stream.run();

  const chips = el("div", { class: "chips" });
  const names = { all: t("all"), fills: t("fills"), warnings: t("warnings") };
  const drawChips = () =>
    refill(
      chips,
      ...Object.entries(names).map(([kind, name]) =>
        el(
          "button",
          {
            class: "chip",
            "aria-pressed": String(kind === state.kind),
            "data-key": `log ${kind}`,
            onclick: () => {
              state.kind = kind;
              drawChips();
              draw();
            },
          },
          name,
        ),
      ),
    );
  drawChips();
  const search = el("input", {
    type: "search",
    "aria-label": t("search in the log"),
    placeholder: t("search in the log"),
    oninput: (event) => {
      state.words = event.target.value.toLowerCase();
      draw();
    },
  });
  return {
    element: el("div", { class: "log-view" }, el("div", { class: "head" }, chips, el("div", { class: "tools" }, search)), list, said),
    close: () => stream.stop(),
  };
}

function textOf(line) {
  return `${line.id} ${line.line}`.toLowerCase();
}

function row(line, isMerged) {
  const { fill } = line;
  return el(
    "li",
    { class: fill ? `fill-${fill.side}` : line.level ?? "" },
    isMerged ? el("b", {}, line.id, " ") : "",
    fill ? el("span", { class: "told" }, `${fill.side === "buy" ? t("bought") : t("sold")} ${amount(fill.quantity)} @ ${price(fill.price)}`, " ") : "",
    el("span", {}, line.line),
  );
}

/** Show the log of some bots in the dialog; it ends with it. */
export function openLogs(dialog, title, instances) {
  const view = logView(instances);
  take(dialog);
  refill(
    dialog,
    el("div", { class: "head" }, el("h2", {}, title), el("button", { class: "chip", "data-key": "close", onclick: () => dialog.close() }, t("Close"))),
    view.element,
  );
  dialog.addEventListener("close", view.close, { once: true });
  dialog.classList.add("wide");
  dialog.addEventListener("close", () => dialog.classList.remove("wide"), { once: true });
  show(dialog);
}
