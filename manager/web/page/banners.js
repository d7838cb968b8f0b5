// Say what is stale, and how old it is.

import { now } from "./clock.js";
import { el, refill } from "./dom.js";
import { age, t } from "./format.js";
import { model, parts, session } from "./state.js";
import { STALE_S } from "./strip.js";

function banner(kind, text) {
  return el("p", { class: `banner ${kind}` }, text);
}

/** Draw the lines above everything, where they have changed. */
export function drawBanners() {
  if (!session.isOn || !model.fleet) return;
  const { fleet } = model;
  const found = [];
  const seen = model.ageOfLook(now());
  const isStale = seen === null || seen > STALE_S;
  if (!model.isConnected && model.lostAt !== null) {
    found.push(banner("bad", t("`manager serve` does not answer: what follows is {age} old", { age: age(seen ?? 0) })));
  } else if (fleet.error) {
    found.push(banner("bad", `${fleet.error} · ${t("what follows is {age} old", { age: seen === null ? "?" : age(seen) })}`));
  } else if (isStale) {
    found.push(banner("warn", t("what follows is {age} old", { age: age(seen ?? 0) })));
  }
  for (const problem of fleet.problems) found.push(banner("warn", problem));
  for (const note of fleet.notes) found.push(banner("note", note));
  document.body.classList.toggle("stale", isStale || !model.isConnected);
  tellDialog(found[0]);
  const said = found.map((each) => each.textContent).join("\n");
  if (parts.banners.dataset.said === said) return;
  parts.banners.dataset.said = said;
  refill(parts.banners, ...found);
}

/** Say the first of them in an open dialog as well, which lies over them. */
function tellDialog(first) {
  const text = first && !first.classList.contains("note") ? first.textContent : "";
  if ((parts.detail.dataset.stale ?? "") === text) return;
  if (text) parts.detail.dataset.stale = text;
  else delete parts.detail.dataset.stale;
}

/** Take the lines away: no user is signed in. */
export function forgetBanners() {
  delete parts.banners.dataset.said;
  tellDialog();
  refill(parts.banners);
}
