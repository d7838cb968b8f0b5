// Start the page: sign in, load, follow the events, draw.

import { drawBanners, forgetBanners } from "./banners.js";
import { openDetail, renewDetail } from "./detail.js";
import { el, giveBack, refill, take } from "./dom.js";
import { t } from "./format.js";
import { chartCard } from "./fleet_chart.js";
import { drawFilters, makeFilters } from "./filters.js";
import { drawBots, forgetRows } from "./list.js";
import { openLogs } from "./logs.js";
import { beginMachines } from "./machines.js";
import { happened } from "./marks.js";
import { boxes, botHeads, needCard, renew } from "./rows.js";
import { paint, preferredLanguage, settings, speakIn } from "./settings.js";
import { signInForm } from "./sign_in.js";
import { model, parts, places, session, setting } from "./state.js";
import { ask, signInByLink, signOut, SIGNED_OUT, SignedOut, Stream, TOKEN } from "./stream.js";
import { drawStrip, drawTitle, hideHalt, renewStrip } from "./strip.js";

let chosenCurve = null;
const DAY = "1d";

/** So many cards come first on a phone: with more, the figures would be far below. */
const MOST_NEEDS = 6;
let areAllNeedsShown = false;

/** What the form of the sign-in says, while it is shown. */
let whyNot = "";

/** Whether somebody has just signed in: if nobody is signed in then, the browser has not kept the cookie. */
let hasSignedIn = false;

/** Whether somebody who wanted to halt was told that the session is over. */
let isHaltLost = false;

/** How long a step back may take until another bot is opened all the same. */
const STEP_BACK_MS = 1000;

/** What to do once a step back is taken, while one is: it would close whatever is opened meanwhile. */
let afterStepBack = null;

/** When the figures were read that the curves are of, or are being loaded of. */
let curvesOf = null;

// ---- sign-in

async function useLink() {
  const found = location.hash.match(/^#link=([\w-]+)$/);
  if (found) history.replaceState(null, "", "/");
  try {
    hasSignedIn = await signInByLink(found?.[1]);
    return "";
  } catch (error) {
    return error.message;
  }
}

/** Show the form, with why nobody is signed in: in English, or as the server said it. */
function showSignIn(why) {
  session.isOn = false;
  whyNot = why;
  document.title = t("not signed in");
  refill(parts.strip, el("h1", {}, "botfleet"), settings(CHANGES));
  forgetBanners();
  hideHalt();
  if (parts.detail.open) parts.detail.close();
  take(parts.detail);
  refill(parts.detail);
  forgetRows();
  parts.main.className = "";
  refill(parts.main, signInForm([t(why), isHaltLost ? t("Nothing was halted: sign in and hold HALT again, or run `manager halt`") : ""].filter(Boolean).join(". "), beginSignedIn, showSignIn));
}

/** Say that the session is over, whichever of the page's requests is the first to be told: all are, one after another. */
function endSession({ detail } = {}) {
  isHaltLost ||= detail === "halt" || detail === "hosts/halt";
  if (session.isOn) showSignIn("the session is over");
}

window.addEventListener(SIGNED_OUT, endSession);

// ---- loading

async function load() {
  const [fleet, answer] = await Promise.all([ask("fleet"), ask("instances")]);
  model.load(fleet, answer);
  return answer.event;
}

async function loadCurves() {
  curvesOf = model.fleet.figures_at;
  try {
    model.curves = await ask("curves");
    if (!session.isOn) return;
    if (rangeOf() !== DAY) await loadRange(rangeOf());
    drawCurves();
    refill(places.boxes, ...boxes(model));
  } catch {
    curvesOf = null;
  }
}

function rangeOf() {
  return setting.get("range", DAY);
}

/** Load the curves over that time; those of the last day come with every look. */
async function loadRange(name) {
  const found = name === DAY ? null : await ask(`curves?over=${name}`);
  if (rangeOf() === name) model.longCurves = found;
}

async function chooseRange(name) {
  setting.set("range", name);
  model.longCurves = null;
  drawCurves();
  try {
    await loadRange(name);
    if (session.isOn) drawCurves();
  } catch (error) {
    if (session.isOn && rangeOf() === name) drawCurves(error.message);
  }
}

async function begin() {
  const wasOn = session.isOn;
  try {
    const event = await load();
    session.isOn = true;
    isHaltLost = hasSignedIn = false;
    build();
    drawCurves();
    draw();
    performance.mark("botfleet-drawn");
    follow(event);
  } catch (error) {
    if (!(error instanceof SignedOut)) showFailure(error);
    else if (!wasOn) showSignIn(hasSignedIn ? t("the sign-in was right, but this browser has not kept its cookie: open the page at the very address that `manager serve link` prints, and allow it cookies") : "");
  }
}

function showFailure(error) {
  refill(parts.main, el("section", { class: "card" }, el("p", { class: "bad" }, error.message)));
  setTimeout(begin, 2000);
}

function follow(event) {
  if (session.stream) {
    session.stream.lastId = event;
    return;
  }
  session.stream = new Stream(event, {
    open: () => connected(true),
    lost: () => connected(false),
    signedOut: () => {
      session.stream = null;
    },
    event: async (name, data) => {
      if (name === "reset") await load(); // where that fails, the stream begins again before this event
      else model.apply(data);
      setTimeout(draw); // a fault in drawing is none of the stream's
    },
  });
  session.stream.run();
}

function connected(isOn) {
  if (!isOn && (model.isConnected || model.lostAt === null)) model.lostAt = Date.now() / 1000; // also before it ever was
  model.isConnected = isOn;
  renewAges();
}

// ---- drawing

/** Make what stays: the rest is filled in again and again. */
function build() {
  places.boxes = el("div", { class: "boxes" });
  places.needs = el("section", { class: "card needs" });
  places.chart = el("div", { class: "chart-place" });
  places.happened = el("section", { class: "card happened", hidden: true });
  places.bulk = el("div", { class: "chips bulk" });
  makeFilters(listBots);
  places.list = el("ul", { class: "bots" });
  places.none = el("p", { class: "small" });
  forgetRows();
  parts.main.className = "fleet";
  const bots = el(
    "section",
    { class: "card all" },
    el("div", { class: "head" }, el("h2", {}, t("All bots")), places.filters, el("div", { class: "tools" }, places.exchange, places.state, places.search, places.sort)),
    places.bulk,
    botHeads(),
    places.list,
    places.none,
  );
  refill(parts.main, places.needs, places.boxes, places.chart, bots, places.happened, beginMachines());
}

function draw() {
  if (!session.isOn) return;
  drawStrip(settings(CHANGES));
  drawBanners();
  drawNeeds();
  refill(places.boxes, ...boxes(model));
  drawFilters(listBots);
  listBots();
  renewDetail();
  if (model.fleet.figures_at !== curvesOf && document.visibilityState === "visible") loadCurves();
}

function change(name, value) {
  setting.set(name, value);
  paint();
  draw();
  if (!session.isOn) showSignIn(whyNot);
}

async function changeLanguage(tag) {
  try {
    await speakIn(tag);
  } catch {
    return; // the server does not answer, as the page says
  }
  setting.set("language", tag);
  paint();
  if (!session.isOn) return showSignIn(whyNot);
  session.stream?.again("none"); // an event that there never was: it gets a reset, which loads all, also after a lost connection
  build();
  drawCurves();
  curvesOf = null;
  draw();
}

const CHANGES = { speak: changeLanguage, set: change, leave };

async function leave() {
  await signOut().catch(() => {});
  location.assign("/");
}

function drawNeeds() {
  const found = model.needing();
  const shown = areAllNeedsShown ? found : found.slice(0, MOST_NEEDS);
  const showAll = () => {
    areAllNeedsShown = true;
    drawNeeds();
  };
  places.needs.hidden = !found.length;
  refill(
    places.needs,
    el("h2", {}, t("Needs a person")),
    el("ul", {}, ...shown.map((each) => needCard(each, open, openLog))),
    shown.length < found.length ? el("button", { class: "chip more", "data-key": "all needs", onclick: showAll }, t("and {count} more", { count: found.length - shown.length })) : "",
  );
  parts.main.classList.toggle("has-needs", Boolean(found.length));
}

function drawCurves(why = "") {
  const choose = (key) => {
    chosenCurve = key;
    drawCurves();
  };
  const range = rangeOf();
  const curves = range === DAY ? model.curves : model.longCurves;
  refill(places.chart, chartCard(curves, { chosen: chosenCurve, choose, range, chooseRange, why }));
  const news = happened(model.curves);
  places.happened.hidden = !news.length;
  refill(places.happened, ...news);
}

function listBots() {
  drawBots(open);
}

// ---- one bot

function open(id, verb = "") {
  if (afterStepBack) {
    afterStepBack = () => open(id, verb);
    return;
  }
  history.pushState({ isOpened: true }, "", `#bot=${encodeURIComponent(id)}`);
  openDetail(parts.detail, id, close, verb);
}

function openLog(id) {
  openLogs(parts.detail, id, [id]);
}

function close() {
  parts.detail.close();
}

parts.detail.addEventListener("close", () => {
  giveBack(parts.detail);
  // this event comes late: it may be open again. Where the session is over the address stays, for whoever signs in next;
  // and a step back would take the place of another page that is being opened.
  if (parts.detail.open || !session.isOn || !location.hash.startsWith("#bot=")) return;
  if (history.state?.isOpened) stepBack(); // or each bot that was looked at would be one step back more
  else history.replaceState(null, "", "/");
});

function stepBack() {
  afterStepBack = () => {};
  setTimeout(steppedBack, STEP_BACK_MS);
  history.back();
}

function steppedBack() {
  const next = afterStepBack;
  afterStepBack = null;
  next?.();
}

window.addEventListener("popstate", () => {
  showHash();
  steppedBack();
  setTimeout(() => giveBack(parts.detail)); // a step back takes the focus away
});
window.addEventListener("hashchange", async () => {
  if (location.hash.startsWith("#link=")) {
    const why = await useLink();
    if (why) showSignIn(why);
    else beginHere();
  }
});
window.addEventListener("storage", (event) => {
  if (event.key !== TOKEN) return;
  if (event.newValue === null) endSession();
  else if (!session.isOn) beginHere();
});

function beginSignedIn() {
  hasSignedIn = true;
  return beginHere();
}

/** Begin, and show the bot that the address names. */
async function beginHere() {
  await begin();
  showHash();
}

function showHash() {
  const found = location.hash.match(/^#bot=(.+)$/);
  if (found && session.isOn) openDetail(parts.detail, decoded(found[1]), close);
  else if (parts.detail.open) parts.detail.close();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// ---- start

setInterval(() => {
  document.querySelectorAll("[data-since]").forEach(renew);
  renewAges();
}, 1000);

/** Say how old it is what is shown, where that changes by itself. */
function renewAges() {
  if (!session.isOn || !model.fleet) return;
  drawBanners();
  renewStrip(() => settings(CHANGES));
  drawTitle();
}

/** A container that comes or goes changes the machine's network, and browsers then give up requests. */
for (let isReady = false; !isReady; ) {
  try {
    await speakIn(preferredLanguage());
    isReady = true;
  } catch {
    await new Promise((go) => setTimeout(go, 1000));
  }
}
window.dispatchEvent(new Event("botfleet-started"));
paint();
const refused = await useLink();
await beginHere();
if (refused && !session.isOn) showSignIn(refused);
