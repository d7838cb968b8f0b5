// Show one bot: its last report, its last words, its exits, its history. It works when the bot is dead.

import { askFirst, verbButtons } from "./actions.js";
import { el, refill, show, take } from "./dom.js";
import { amount, bracketed, labelled, listed, moment, money, price, punctuated, t, withMinus } from "./format.js";
import { earned, RANGES } from "./earned.js";
import { logView } from "./logs.js";
import { named } from "./marks.js";
import { stateOf } from "./model.js";
import { hasOldFigures, leftLine, modeBadge, reasonOf, since, stateBadge } from "./rows.js";
import { model, parts } from "./state.js";
import { ask, may } from "./stream.js";

/** What is shown of a bot and goes on while its view is open. */
let present = null;

/** Fill the dialog with a bot and show it; with `verb`, ask about that command at once. */
export async function openDetail(dialog, id, close, verb = "") {
  const isMine = take(dialog, id);
  refill(dialog, head(id, close), el("p", { class: "small" }, "…"));
  show(dialog);
  const path = `instances/${encodeURIComponent(id)}`;
  try {
    const [detail, history] = await Promise.all([ask(path), ask(`${path}/history?days=${RANGES.at(-1)}`)]);
    if (!isMine()) return;
    const place = el("div", { class: "place" });
    present = { of: null, detail, dialog, place, state: el("div", {}), facts: el("div", {}) };
    refill(dialog, head(id, close), ...content(history));
    renewDetail(detail.instance);
    if (verb) askFirst(id, verb, place);
  } catch (error) {
    if (isMine()) refill(dialog, head(id, close), el("p", { class: "bad" }, error.message));
  }
}

function head(id, close) {
  return el(
    "div",
    { class: "head" },
    el("h2", {}, id),
    el("button", { class: "chip", "data-key": "close", onclick: close }, t("Close")),
  );
}

/** Write what the bot is doing, its figures and its buttons anew, if they have changed since. */
export function renewDetail(each = model.instances.get(parts.detail.dataset.id)) {
  if (!each) sayGone(parts.detail.dataset.id);
  if (!each || present?.detail.instance.id !== each.id || !present.dialog.open || present.of === each) return;
  const { state, facts: figures, place, detail } = present;
  present.of = each;
  refill(
    state,
    el("p", { class: "badges" }, stateBadge(each), modeBadge(each), stateOf(each) === each.state_text ? "" : el("span", {}, each.state_text), each.since ? since(Date.parse(each.since) / 1000) : ""),
    each.needs_person || each.note ? el("p", { class: `reason ${each.severity}` }, reasonOf(each)) : "",
    leftLine(each),
    ...each.alerts.map(alertLine),
    el("div", { class: "chips actions" }, ...verbButtons(each, (verb) => askFirst(each.id, verb, place))),
  );
  refill(figures, facts(each, detail));
}

/** Say that the bot whose view is open has neither a config nor a container any more. */
function sayGone(id) {
  if (!id || present?.detail.instance.id !== id || !present.dialog.open || present.of === null) return;
  present.of = null; // one that comes back is drawn anew
  refill(present.state, el("p", { class: "reason bad" }, t("{id} is gone: it has neither a config nor a container here. What follows is of before", { id })));
  refill(present.place);
}

function content(history) {
  const { state, facts: figures, place, detail, dialog } = present;
  const each = detail.instance;
  return [
    state,
    place,
    changes(detail.changes),
    figures,
    words(t("Last output before its exit"), detail.last_words ? [detail.last_words] : []),
    words(t("The end of its output at its last exit"), each.last_exit?.stderr_tail ?? []),
    events(t("Exits of the last 30 days"), detail.exits),
    log(each.id, dialog),
    earned(each.id, history),
    events(t("What happened"), [...detail.events].reverse().slice(0, 30)),
    each.web_url && may("operate") ? ownPage(each.id) : "",
  ].filter(Boolean);
}

/** Return one alert that is open: since when, and whether it was sent. */
function alertLine(alert) {
  const told = alert.told_at === null ? t("not sent yet") : `${t("sent")} ${moment(alert.told_at)}`;
  return el("p", { class: "small" }, labelled(t("alert"), listed([withMinus(alert.text), `${t("since")} ${moment(alert.since)}`, told])));
}

/** Return what opens the log: it is followed only while somebody wants to read it. */
function log(id, dialog) {
  const place = el("div", {});
  const show = () => {
    const view = logView([id]);
    refill(place, view.element);
    dialog.addEventListener("close", view.close, { once: true });
  };
  refill(place, el("button", { class: "chip", "data-key": "log", onclick: show }, t("Show its log")));
  return el("section", {}, el("h3", {}, t("Log")), place);
}

/** Return what opens its own page, at an address that works once. */
function ownPage(id) {
  const place = el("p", {});
  const open = async () => {
    refill(place);
    try {
      const { url } = await ask(`instances/${encodeURIComponent(id)}/page`, { method: "POST", body: "" });
      window.open(url, "_blank", "noopener,noreferrer");
    } catch (error) {
      refill(place, el("span", { class: "bad" }, error.message));
    }
  };
  return el("section", {}, el("button", { class: "chip", "data-key": "own page", onclick: open }, t("Open its own page")), place);
}

function facts(each, detail) {
  const report = detail.report;
  const isOld = hasOldFigures(each);
  const figures = [
    [t("P&L of this run"), money(each.pnl), each.quote],
    [t("P&L of all its runs"), inAll(each), ""],
    [t("realised"), money(each.realized), each.quote],
    [t("open"), money(each.unrealized), each.quote],
    [t("fees"), amount(each.fees), each.quote],
    [t("funding"), money(each.funding), each.quote],
    [t("Position"), amount(each.position), each.base],
    [t("entry price"), price(each.entry_price), ""],
    [t("price"), price(each.price), ""],
    [t("Orders"), each.is_left_unknown ? "?" : each.open_orders, ""],
    [t("trades"), each.trades, ""],
  ].map((row) => [...row, isOld]);
  const known = [
    ...figures,
    [t("restarts"), each.restarts, ""],
    [t("exchange"), each.exchange, ""],
    [t("symbol"), each.symbol, ""],
    [t("strategy"), each.strategy, ""],
    [t("config"), each.config_file, ""],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "–");
  const age = each.reported_at ? [t("its last report"), punctuated(": "), since(each.reported_at, true)] : [t("it has not reported yet")];
  return el(
    "section",
    {},
    el("p", { class: "small" }, ...age, detail.report_is_previous && report && each.reported_at === detail.instance.reported_at ? bracketed(t("of an earlier run")) : ""),
    el("dl", {}, ...known.flatMap(([name, value, unit, isGrey]) => [el("dt", {}, name), el("dd", isGrey ? { class: "old" } : {}, `${value}${unit ? ` ${unit}` : ""}`)])),
  );
}

/** Return what each currency's runs have earned together. */
function inAll(each) {
  return listed(each.in_all.map(({ kind, quote, pnl }) => `${t(kind)} ${money(pnl)} ${quote}`)) || null;
}

/** Return what a restart or an upgrade would change, old → new. */
function changes(lines) {
  if (!lines.length) return "";
  return el("section", { class: "changes" }, el("h3", {}, t("A restart or an upgrade would change")), el("ul", {}, ...lines.map((each) => el("li", {}, each))));
}

function words(title, lines) {
  const said = lines.filter((each) => each.trim());
  if (!said.length) return "";
  return el("section", {}, el("h3", {}, title), el("pre", {}, said.join("\n")));
}

function events(title, found) {
  if (!found.length) return "";
  const items = found.map((each) => el("li", {}, el("time", {}, moment(each.at)), " ", el("span", {}, withMinus(named(t(each.what), each.text)))));
  return el("section", {}, el("h3", {}, title), el("ul", { class: "events" }, ...items));
}
