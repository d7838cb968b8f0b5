// Show the bots of the trader's other machines, and halt all machines at once.

import { haltSender, holdButton, run } from "./actions.js";
import { now } from "./clock.js";
import { el, refill, show, take } from "./dom.js";
import { age, bracketed, labelled, language, listed, money, t, withMinus } from "./format.js";
import { parts, places, session } from "./state.js";
import { ask, may } from "./stream.js";

const EVERY_MS = 30000;
const FIRST_MS = 3000;
/** A machine whose answer is older is waited for: how old its rows are is said. */
const OLD_S = 60;

let timer = null;

/** Make the place of the card, and begin to fill it. */
export function beginMachines() {
  places.machines = el("section", { class: "card machines", hidden: true });
  clearTimeout(timer);
  load();
  return places.machines;
}

async function load() {
  const place = places.machines;
  let wait = EVERY_MS;
  try {
    if (document.visibilityState === "visible") {
      const found = await ask("hosts");
      if (place !== places.machines) return;
      if (found.asked_at === null || found.hosts.some((host) => host.is_asked)) wait = FIRST_MS;
      if (found.asked_at !== null) draw(found);
    }
  } catch {
    // said by the stream of events, too
  }
  if (place !== places.machines || !session.isOn) return; // it is begun again with the page
  timer = setTimeout(load, wait);
}

function draw(found) {
  const { hosts, error } = found;
  places.machines.hidden = !hosts.length && !error;
  refill(
    places.machines,
    el("div", { class: "head" }, el("h2", {}, t("Other machines")), hosts.length && may("halt") ? haltAllButton(hosts) : ""),
    error ? el("p", { class: "bad" }, error) : "",
    ...[...found.twins, ...found.lost, ...found.shared_accounts].map((text) => el("p", { class: "bad" }, text)),
    ...hosts.map(machine),
  );
}

function machine(host) {
  const old = host.seen_at === null ? t("never seen") : t("last seen {age} ago", { age: age(now() - host.seen_at) });
  const isOld = host.is_up && now() - host.seen_at > OLD_S;
  const head = host.is_up ? el("h3", {}, isOld ? labelled(host.name, old) : host.name) : el("h3", { class: "bad" }, labelled(host.name, listed([t("unreachable"), old])));
  return el("div", { class: "machine" }, head, host.is_up ? "" : el("p", { class: "small" }, host.why), el("ul", {}, ...host.instances.map(instance)));
}

function instance(each) {
  const isAway = each.last_state_text !== null;
  const last = listed([each.last_state_text, each.doing_text].filter(Boolean));
  const state = isAway ? `${each.state_text}${bracketed(last)}` : each.state_text;
  const said = [each.mode_text, state, isAway ? "" : each.doing_text, each.symbol, earned(each), withMinus([each.position, each.base].filter(Boolean).join(" ")), withMinus(each.note ?? "")];
  const kind = each.state === "unreachable" || each.state === "failed" || each.is_left_unknown ? "bad" : "";
  return el("li", {}, el("strong", {}, each.id), " ", el("span", { class: kind }, said.filter(Boolean).join(" · ")));
}

/** Return the P&L, marked if its prices are not a market's: then it is no trading result. */
function earned(each) {
  if (each.pnl === null) return "";
  const isArtificial = each.market && each.market !== "live";
  return [money(each.pnl), each.quote, isArtificial ? t(each.market) : ""].filter(Boolean).join(" ");
}

/** The one that is being held must not be replaced. */
let haltAll = null;

function haltAllButton(hosts) {
  const of = JSON.stringify([language(), hosts.map((each) => each.name)]);
  if (haltAll?.of !== of) haltAll = { of, element: holdButton("halt hosts", t("HALT all machines — hold"), () => openHalt(hosts, true), () => openHalt(hosts, false)) };
  return haltAll.element;
}

function openHalt(hosts, isHeld) {
  const place = el("div", { class: "place" });
  take(parts.detail);
  const go = () => run(place, haltSender("hosts/halt"));
  refill(
    parts.detail,
    el("div", { class: "head" }, el("h2", {}, t("Halt here and on all machines")), el("button", { class: "chip", "data-key": "close", onclick: () => parts.detail.close() }, t("Close"))),
    el("p", {}, t("Every bot here and on {hosts} is stopped at once. A machine that does not answer is named: its bots may go on.", { hosts: listed(hosts.map((each) => each.name)) })),
    place,
  );
  show(parts.detail);
  if (isHeld) go();
  else refill(place, holdButton("halt hosts again", t("HALT all machines — hold"), go));
}
