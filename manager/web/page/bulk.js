// Do the same with several bots: one command of the manager's after the other, each asked for first.

import { run, sender, untilChoice } from "./actions.js";
import { hasSleptSince } from "./clock.js";
import { el, refill, show, take } from "./dom.js";
import { listed, t, withMinus } from "./format.js";
import { model, session } from "./state.js";
import { ask } from "./stream.js";

/** What can be done with several bots; closing a position is asked for each by itself. */
export const BULK_VERBS = ["start", "stop", "restart", "upgrade", "orders", "snooze"];

/** Ask about all of them, then do it with one after the other. */
export async function openBulk(dialog, verb, name, instances) {
  const close = () => dialog.close();
  const count = instances.length;
  const title = count === 1 ? t("{verb} 1 bot", { verb: name }) : t("{verb} {count} bots", { verb: name, count });
  const head = () => el("div", { class: "head" }, el("h2", {}, title), el("button", { class: "chip", "data-key": "close", onclick: close }, t("Close")));
  const isMine = take(dialog);
  refill(dialog, head(), el("p", { class: "small" }, "…"));
  show(dialog);
  let questions;
  try {
    questions = await Promise.all(instances.map((id) => ask(`${pathOf(id)}/${verb}`)));
  } catch (error) {
    if (isMine()) refill(dialog, head(), el("p", { class: "bad" }, error.message));
    return;
  }
  if (!isMine()) return;
  const go = el("button", { class: "chip" }, title);
  const typed = new Map();
  const check = () => {
    go.disabled = [...typed].some(([id, input]) => input.value !== id);
  };
  const asked = instances.map((id, index) => {
    const { sentences, needs_id: needsId } = questions[index];
    const said = sentences.map((sentence) => el("p", { class: "small" }, withMinus(sentence)));
    if (!needsId) return el("li", {}, el("strong", {}, id), ...said);
    const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: id, oninput: check });
    typed.set(id, input);
    return el(
      "li",
      {},
      el("strong", {}, id),
      ...said,
      el("label", {}, t("type {id} to confirm", { id }), input),
    );
  });
  if (typed.size) go.classList.add("danger");
  const until = untilChoice(questions[0]?.until ?? null);
  check();
  const act = async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    const confirmed = new Map([...typed].map(([id, input]) => [id, input.value]));
    const places = instances.map(() => el("div", { class: "place" }));
    const begun = Date.now();
    refill(dialog, head(), ...instances.flatMap((id, index) => [el("h3", {}, id), places[index]]));
    for (const [index, id] of instances.entries()) {
      const isHeard = await run(places[index], sender(pathOf(id), { verb, confirm: confirmed.get(id) ?? "", until: until?.value ?? "" }));
      if (index + 1 === instances.length || !session.isOn) continue;
      // who has agreed to it a while ago may want something else by the time that it can go on
      const ids = listed(instances.slice(index + 1));
      const why = hasSleptSince(begun)
        ? t("not asked for any more, as this device has slept meanwhile: {ids}", { ids })
        : !isHeard && !model.isConnected
          ? t("not asked for any more, as `manager serve` did not answer: {ids}", { ids })
          : "";
      if (why) {
        refill(places[index + 1], el("p", { class: "verdict bad" }, why));
        return;
      }
    }
  };
  refill(dialog, head(), el("form", { class: "question", onsubmit: act }, el("ul", { class: "asked" }, ...asked), until ? el("label", {}, t("until"), until) : "", el("div", { class: "chips" }, go)));
}

function pathOf(id) {
  return `instances/${encodeURIComponent(id)}/actions`;
}
