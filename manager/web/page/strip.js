// Draw the strip, the kill switch, and the tab's title: look, or go on.

import { haltButton } from "./actions.js";
import { now } from "./clock.js";
import { el, refill } from "./dom.js";
import { language, money, t } from "./format.js";
import { leftUnknown, since } from "./rows.js";
import { model, parts } from "./state.js";
import { may } from "./stream.js";

export const STALE_S = 15;

/** Return whether what is shown is of before: nobody sees the fleet now, so that nothing of it is called well. */
function isOfBefore() {
  const seen = model.ageOfLook(now());
  return isUnheard() || Boolean(model.fleet.error) || seen === null || seen > STALE_S;
}

function isUnheard() {
  return !model.isConnected && model.lostAt !== null;
}

function pill(kind, ...content) {
  return el("span", { class: `pill ${kind}` }, el("span", { class: "dot" }), ...content);
}

/** Return when a receiver has last accepted a message of watch's. */
function delivered(at) {
  return el("span", {}, "· ", ...(at === null ? [t("no alert delivered yet")] : [t("last alert delivered"), " ", since(at, true)]));
}

/** The one that is being held must not be replaced. */
let halt = null;

/** Whether the strip has been drawn as one of before. */
let wasOfBefore = false;

/** Draw the strip anew if what it shows has become one of before, or is none any more. */
export function renewStrip(settings) {
  if (isOfBefore() !== wasOfBefore) drawStrip(settings());
}

/** Draw the strip and the title. `settings`: its buttons. */
export function drawStrip(settings) {
  const { fleet } = model;
  wasOfBefore = isOfBefore();
  const calm = wasOfBefore ? pill("warn", t("whether action is needed is not known now")) : pill("well", t("no action needed"));
  const { need_person: count, left, left_unknown: unknown } = fleet.counts;
  const { is_alive: isAlive, undelivered, delivered_at: deliveredAt } = fleet.watch;
  refill(
    parts.strip,
    el("h1", {}, fleet.name),
    count ? pill("bad", count === 1 ? t("1 needs a person") : t("{count} need a person", { count })) : unknown ? "" : calm,
    unknown ? pill("bad", leftUnknown(unknown)) : "",
    left ? pill("note", t("{count} left for later", { count: left })) : "",
    isAlive ? pill(isUnheard() ? "note" : "well", t("watch runs"), delivered(deliveredAt)) : pill("warn", t("watch does not run: no alerts")),
    undelivered ? pill("bad", undelivered === 1 ? t("1 alert is not delivered") : t("{count} alerts are not delivered", { count: undelivered })) : "",
    may("operate") ? "" : pill("note", may("halt") ? t("you may look and halt") : t("you may look only")),
    fleet.error ? pill("bad", t("the fleet cannot be observed")) : "",
    settings,
  );
  drawHalt();
  drawTitle();
}

function drawHalt() {
  const of = may("halt") ? language() : "";
  if (halt?.of === of) return;
  halt = { of, element: of ? haltButton(model, parts.detail) : null };
  refill(parts.halt, halt.element ?? "");
}

/** Write the title of the browser's tab. */
export function drawTitle() {
  const { fleet } = model;
  const count = Math.max(fleet.counts.need_person, fleet.counts.left_unknown);
  const today = fleet.pnl.filter((each) => each.kind === "live" && each.today !== null);
  const total = fleet.totals.find((each) => each.kind === "live" && !each.missing.length);
  const sum = today.length === 1 ? money(today[0].today) : total ? money(total.today) : today.map((each) => `${money(each.today)} ${each.quote}`).join(" ");
  document.title = [isOfBefore() ? "?" : "", count ? `⚠ ${count}` : "", sum, fleet.name].filter(Boolean).join(" · ");
}

/** Take the kill switch away: no user is signed in. */
export function hideHalt() {
  halt = null;
  refill(parts.halt);
}
