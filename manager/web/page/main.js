// Start the page: sign in, load, follow the events, draw.

import { haltButton } from "./actions.js";
import { openDetail } from "./detail.js";
import { el, refill } from "./dom.js";
import { age, language, money, t, useTexts } from "./format.js";
import { isOfKind, Model } from "./model.js";
import { boxes, botHeads, botRow, chartCard, needCard, renew } from "./rows.js";
import { signInForm } from "./sign_in.js";
import { ask, signIn, signOut, SignedOut, speak, Stream } from "./stream.js";

const STALE_S = 15;
const CURVES_MS = 60000;
const LANGUAGES = { en: "EN", "zh-TW": "中文" };
const THEMES = ["auto", "light", "dark"];

const parts = Object.fromEntries(["strip", "halt", "banners", "main", "detail"].map((id) => [id, document.getElementById(id)]));
const model = new Model();
const rows = new Map();
let stream = null;
let chosenCurve = null;
let isSignedIn = false;

const setting = {
  get: (name, fallback) => localStorage.getItem(`botfleet-${name}`) ?? fallback,
  set: (name, value) => localStorage.setItem(`botfleet-${name}`, value),
};

async function speakIn(tag) {
  const answer = await fetch(`/texts/${tag}`);
  useTexts(tag, await answer.json());
  speak(tag);
}

function preferredLanguage() {
  const first = setting.get("language", navigator.language || "en");
  return first.toLowerCase().startsWith("zh") ? "zh-TW" : "en";
}

function paint() {
  const root = document.documentElement;
  root.dataset.theme = setting.get("theme", "auto");
  root.dataset.rises = setting.get("rises", language() === "zh-TW" ? "red" : "green");
}

// ---- sign-in

async function useLink() {
  const found = location.hash.match(/^#link=([\w-]+)$/);
  if (!found) return "";
  history.replaceState(null, "", "/");
  try {
    await signIn({ link: found[1] });
    return "";
  } catch (error) {
    return error.message;
  }
}

function showSignIn(why) {
  isSignedIn = false;
  document.title = t("not signed in");
  refill(parts.strip, el("h1", {}, "botfleet"), settings());
  refill(parts.banners);
  refill(parts.halt);
  halt = null;
  if (parts.detail.open) parts.detail.close();
  refill(parts.detail);
  rows.clear();
  parts.main.className = "";
  refill(parts.main, signInForm(why, begin, showSignIn));
}

// ---- loading

async function load() {
  const [fleet, answer] = await Promise.all([ask("fleet"), ask("instances")]);
  model.load(fleet, answer);
  return answer.event;
}

async function loadCurves() {
  try {
    model.curves = await ask("curves");
    drawCurves();
  } catch (error) {
    if (error instanceof SignedOut) showSignIn("");
  }
}

async function begin() {
  try {
    const event = await load();
    isSignedIn = true;
    build();
    draw();
    loadCurves();
    follow(event);
  } catch (error) {
    if (error instanceof SignedOut) showSignIn("");
    else showFailure(error);
  }
}

function showFailure(error) {
  refill(parts.main, el("section", { class: "card" }, el("p", { class: "bad" }, error.message)));
  setTimeout(begin, 2000);
}

function follow(event) {
  if (stream) {
    stream.lastId = event;
    return;
  }
  stream = new Stream(event, {
    open: () => connected(true),
    lost: () => connected(false),
    signedOut: () => {
      stream = null;
      showSignIn(t("the session is over"));
    },
    event: async (name, data) => {
      if (name === "reset") stream.lastId = await load();
      else model.apply(data);
      draw();
    },
  });
  stream.run();
}

function connected(isOn) {
  if (model.isConnected && !isOn) model.lostAt = Date.now() / 1000;
  model.isConnected = isOn;
  drawBanners();
}

// ---- drawing

const places = {};

/** Make what stays: the rest is filled in again and again. */
function build() {
  places.boxes = el("div", { class: "boxes" });
  places.needs = el("section", { class: "card needs" });
  places.chart = el("div", { class: "chart-place" });
  places.filters = el("div", { class: "chips filters" });
  places.list = el("ul", { class: "bots" });
  places.none = el("p", { class: "small" });
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
  rows.clear();
  parts.main.className = "fleet";
  const bots = el(
    "section",
    { class: "card all" },
    el("div", { class: "head" }, el("h2", {}, t("All bots")), places.filters, el("div", { class: "tools" }, places.search, places.sort)),
    botHeads(),
    places.list,
    places.none,
  );
  refill(parts.main, places.needs, places.boxes, places.chart, bots);
  places.search.value = model.filter.words;
  places.sort.value = model.filter.sort;
}

function draw() {
  if (!isSignedIn) return;
  drawStrip();
  drawBanners();
  drawNeeds();
  refill(places.boxes, ...boxes(model.fleet));
  drawFilters();
  drawBots();
}

function settings() {
  const next = { en: "zh-TW", "zh-TW": "en" }[language()];
  const theme = setting.get("theme", "auto");
  const rises = document.documentElement.dataset.rises;
  const names = { auto: t("as the system"), light: t("light"), dark: t("dark") };
  return el(
    "div",
    { class: "settings" },
    el("button", { class: "chip", lang: next, "data-key": "language", onclick: () => changeLanguage(next) }, LANGUAGES[next]),
    el(
      "button",
      {
        class: "chip",
        "data-key": "theme",
        title: t("colours: {which}", { which: names[theme] }),
        "aria-label": t("colours: {which}", { which: names[theme] }),
        onclick: () => change("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]),
      },
      { auto: "◐", light: "☀", dark: "☾" }[theme],
    ),
    el(
      "button",
      {
        class: "chip",
        "data-key": "rises",
        title: rises === "red" ? t("profits are red") : t("profits are green"),
        "aria-label": rises === "red" ? t("profits are red") : t("profits are green"),
        onclick: () => change("rises", rises === "red" ? "green" : "red"),
      },
      el("span", { class: "up" }, "▲"),
      el("span", { class: "down" }, "▼"),
    ),
    isSignedIn
      ? el("button", { class: "chip", "data-key": "leave", onclick: leave }, t("Sign out"))
      : "",
  );
}

function change(name, value) {
  setting.set(name, value);
  paint();
  draw();
  if (!isSignedIn) showSignIn("");
}

async function changeLanguage(tag) {
  setting.set("language", tag);
  await speakIn(tag);
  paint();
  if (!isSignedIn) return showSignIn("");
  if (stream) stream.lastId = await load();
  stream?.abort?.abort();
  build();
  draw();
  loadCurves();
}

async function leave() {
  await signOut().catch(() => {});
  location.assign("/");
}

function pill(kind, ...content) {
  return el("span", { class: `pill ${kind}` }, el("span", { class: "dot" }), ...content);
}

/** The one that is being held must not be replaced. */
let halt = null;

function drawStrip() {
  const { fleet } = model;
  const count = fleet.counts.need_person;
  const { is_alive: isAlive, undelivered } = fleet.watch;
  refill(
    parts.strip,
    el("h1", {}, fleet.name),
    count ? pill("bad", t("{count} need a person", { count })) : pill("well", t("nobody is needed")),
    isAlive ? pill("well", t("watch runs")) : pill("warn", t("watch does not run: no alerts")),
    undelivered ? pill("bad", t("{count} alerts are not delivered", { count: undelivered })) : "",
    fleet.error ? pill("bad", t("the fleet is out of sight")) : "",
    settings(),
  );
  drawHalt();
  drawTitle();
}

function drawHalt() {
  if (halt?.lang === language()) return;
  halt = { lang: language(), element: haltButton(model, parts.detail) };
  refill(parts.halt, halt.element);
}

function drawTitle() {
  const { fleet } = model;
  const count = fleet.counts.need_person;
  const today = fleet.pnl.filter((each) => each.kind === "live" && each.today !== null);
  const total = fleet.totals.find((each) => each.kind === "live" && !each.missing.length);
  const sum = today.length === 1 ? money(today[0].today) : total ? money(total.today) : "";
  const isStale = model.ageOfLook(Date.now() / 1000) > STALE_S || !model.isConnected;
  document.title = [isStale ? "?" : "", count ? `⚠ ${count}` : "", sum, fleet.name].filter(Boolean).join(" · ");
}

function banner(kind, text) {
  return el("p", { class: `banner ${kind}` }, text);
}

function drawBanners() {
  if (!isSignedIn || !model.fleet) return;
  const now = Date.now() / 1000;
  const { fleet } = model;
  const found = [];
  const seen = model.ageOfLook(now);
  const isStale = seen === null || seen > STALE_S;
  if (!model.isConnected && model.lostAt !== null) {
    found.push(banner("bad", t("`manager serve` does not answer: what follows is {age} old", { age: age(seen ?? 0) })));
  } else if (fleet.error) {
    found.push(banner("bad", t("{why} What follows is {age} old.", { why: fleet.error, age: seen === null ? "?" : age(seen) })));
  } else if (isStale) {
    found.push(banner("warn", t("what follows is {age} old", { age: age(seen ?? 0) })));
  }
  for (const problem of fleet.problems) found.push(banner("warn", problem));
  for (const note of fleet.notes) found.push(banner("note", note));
  document.body.classList.toggle("stale", isStale || !model.isConnected);
  const said = found.map((each) => each.textContent).join("\n");
  if (parts.banners.dataset.said === said) return;
  parts.banners.dataset.said = said;
  refill(parts.banners, ...found);
}

function drawNeeds() {
  const found = model.needing();
  places.needs.hidden = !found.length;
  refill(places.needs, el("h2", {}, t("Needs a person")), el("ul", {}, ...found.map((each) => needCard(each, open))));
  parts.main.classList.toggle("has-needs", Boolean(found.length));
}

function drawCurves() {
  const choose = (key) => {
    chosenCurve = key;
    drawCurves();
  };
  refill(places.chart, chartCard(model.curves, chosenCurve, choose));
}

function drawFilters() {
  const { filter } = model;
  const all = [...model.instances.values()];
  const kinds = { all: t("all"), live: t("live"), paper: t("paper"), needs: t("needs a person") };
  const chip = (key, isOn, text, onclick) => el("button", { class: "chip", "aria-pressed": String(isOn), "data-key": key, onclick }, text);
  const found = Object.entries(kinds).map(([kind, name]) =>
    chip(`kind ${kind}`, filter.kind === kind, `${name} ${all.filter((each) => isOfKind(each, kind)).length}`, () => {
      filter.kind = kind;
      drawFilters();
      drawBots();
    }),
  );
  const tags = model.tags().map((tag) =>
    chip(`tag ${tag}`, filter.tag === tag, `#${tag}`, () => {
      filter.tag = filter.tag === tag ? "" : tag;
      drawFilters();
      drawBots();
    }),
  );
  refill(places.filters, ...found, ...tags);
}

function drawBots() {
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
      const element = botRow(each, open);
      if (row) replaceRow(row.element, element);
      row = { of: each, element };
      rows.set(each.id, row);
    }
    const place = places.list.children[index];
    if (place !== row.element) places.list.insertBefore(row.element, place ?? null);
  });
  places.none.textContent = shown.length ? "" : model.instances.size ? t("no instances match") : t("no instances: create a config in config/active with `manager new`");
}

function replaceRow(before, after) {
  const hadFocus = before.contains(document.activeElement);
  before.replaceWith(after);
  if (hadFocus) after.querySelector("button")?.focus({ preventScroll: true });
}

// ---- one bot

function open(id) {
  history.pushState(null, "", `#bot=${encodeURIComponent(id)}`);
  openDetail(parts.detail, id, close);
}

function close() {
  parts.detail.close();
}

parts.detail.addEventListener("close", () => {
  if (location.hash.startsWith("#bot=")) history.replaceState(null, "", "/");
});
window.addEventListener("popstate", showHash);
window.addEventListener("hashchange", async () => {
  if (location.hash.startsWith("#link=")) {
    const why = await useLink();
    if (why) showSignIn(why);
    else begin();
  }
});

function showHash() {
  const found = location.hash.match(/^#bot=(.+)$/);
  if (found && isSignedIn) openDetail(parts.detail, decodeURIComponent(found[1]), close);
  else if (parts.detail.open) parts.detail.close();
}

// ---- start

setInterval(() => {
  document.querySelectorAll("[data-since]").forEach(renew);
  if (!isSignedIn || !model.fleet) return;
  drawBanners();
  drawTitle();
}, 1000);
setInterval(() => {
  if (isSignedIn && document.visibilityState === "visible") loadCurves();
}, CURVES_MS);

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
await begin();
if (refused && !isSignedIn) showSignIn(refused);
showHash();
