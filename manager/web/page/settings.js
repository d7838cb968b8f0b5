// Language, colours, and what a profit is coloured.

import { redraw } from "./chart.js";
import { el } from "./dom.js";
import { language, t, useTexts } from "./format.js";
import { session, setting } from "./state.js";
import { speak } from "./stream.js";

const LANGUAGES = { en: "EN", "zh-TW": "中文" };
const THEMES = ["auto", "light", "dark"];

/** Speak a language from now on. */
export async function speakIn(tag) {
  const answer = await fetch(`/texts/${tag}`);
  useTexts(tag, await answer.json());
  speak(tag);
}

/** Return the language that was chosen here, else the browser's. */
export function preferredLanguage() {
  const first = setting.get("language", navigator.language || "en");
  return first.toLowerCase().startsWith("zh") ? "zh-TW" : "en";
}

/** Colour the page as it is set. */
export function paint() {
  const root = document.documentElement;
  root.dataset.theme = setting.get("theme", "auto");
  root.dataset.rises = setting.get("rises", language() === "zh-TW" ? "red" : "green");
  redraw();
}

/** Return the buttons. `actions`: what changes the language or another setting, and signs out. */
export function settings(actions) {
  const next = { en: "zh-TW", "zh-TW": "en" }[language()];
  const theme = setting.get("theme", "auto");
  const rises = document.documentElement.dataset.rises;
  const names = { auto: t("as the system"), light: t("light"), dark: t("dark") };
  return el(
    "div",
    { class: "settings" },
    el("button", { class: "chip", lang: next, "data-key": "language", onclick: () => actions.speak(next) }, LANGUAGES[next]),
    el(
      "button",
      {
        class: "chip",
        "data-key": "theme",
        title: t("colours: {which}", { which: names[theme] }),
        "aria-label": t("colours: {which}", { which: names[theme] }),
        onclick: () => actions.set("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]),
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
        onclick: () => actions.set("rises", rises === "red" ? "green" : "red"),
      },
      el("span", { class: "up" }, "▲"),
      el("span", { class: "down" }, "▼"),
    ),
    session.isOn
      ? el("button", { class: "chip", "data-key": "leave", onclick: actions.leave }, t("Sign out"))
      : "",
  );
}
