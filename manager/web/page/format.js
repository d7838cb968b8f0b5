// Texts in the reader's language, amounts, ages and times.

import { ageIn } from "./age.js";

let texts = {};
let spoken = "en";

/** Select the language, with the translations of the manager's own catalogue. */
export function useTexts(language, translations) {
  spoken = language;
  texts = translations;
  document.documentElement.lang = language;
}

/** Return the language in use. */
export function language() {
  return spoken;
}

/** Return a text in the reader's language, with its parameters filled in. */
export function t(message, params = {}) {
  const template = texts[message] || message;
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

const FULL_WIDTH = { ": ": "：", ", ": "，", " (": "（", ")": "）" };

/** Return the mark between parts of a line that are translated each by itself, as the reader's language writes it. */
export function punctuated(mark) {
  return spoken === "zh-TW" ? FULL_WIDTH[mark] : mark;
}

/** Return the words as one text: `a, b`. */
export function listed(words) {
  return words.join(punctuated(", "));
}

/** Return a name and what it says: `name: text`. */
export function labelled(name, text) {
  return `${name}${punctuated(": ")}${text}`;
}

/** Return what stands behind a word: ` (text)`. */
export function bracketed(text) {
  return `${punctuated(" (")}${text}${punctuated(")")}`;
}

/** Return a text of the manager's, whose amounts have a hyphen, with the minus that the page's own have. */
export function withMinus(text) {
  return text.replace(/(^|[\s：，；（(/])-(?=\d)/g, "$1−");
}

/** Return `+12.34`, always signed, with more places below 1, as `manager ps` does; a dash for unknown. */
export function money(text) {
  if (text === null || text === undefined) return "–";
  const value = Number(text);
  const places = Math.abs(value) >= 1 ? 2 : 4;
  const rounded = value.toFixed(places);
  if (Number(rounded) === 0) return "0.00";
  return (value > 0 ? "+" : "−") + grouped(rounded.replace("-", ""));
}

function grouped(digits) {
  const [whole, rest] = digits.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (rest ? `.${rest}` : "");
}

/** Return how many places a number needs for its first digits, at least so many: what is not zero is not written as 0. */
function placesOf(value, least, digits = 2) {
  if (!value || Math.abs(value) >= 10 ** -least) return least;
  return Math.min(100, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
}

/** Return an amount with as many places as it needs, at most eight where these tell of anything. */
export function amount(text, unit = "") {
  if (text === null || text === undefined) return "–";
  const value = Number(text);
  const digits = value.toFixed(placesOf(value, 8)).replace(/\.?0+$/, "").replace(/^-0$/, "0").replace("-", "−");
  return unit ? `${digits} ${unit}` : digits;
}

/** Return a price in at most seven significant digits. */
export function price(text) {
  if (text === null || text === undefined) return "–";
  const value = Number(Number(text).toPrecision(7));
  const digits = String(value);
  return digits.includes("e-") ? value.toFixed(placesOf(value, 6, 7)).replace(/\.?0+$/, "") : digits;
}

/** Return the class of a profit or loss: what is written without a sign is neither. */
export function signClass(text) {
  return { "+": "up", "−": "down" }[money(text)[0]] ?? "flat";
}

/** Return `42 s`, `7 min`, `3 h 05 min`, `12 d`, in the reader's language. */
export function age(seconds) {
  return ageIn(seconds, { s: t("{count} s"), min: t("{count} min"), h: t("{count} h {minutes} min"), d: t("{count} d") });
}

/** Return a local time; with its day where it is not today's, as the commands write it: 11/12 is two days. */
export function moment(unix) {
  const date = new Date(unix * 1000);
  const time = date.toLocaleTimeString(spoken, { hourCycle: "h23" });
  if (date.toDateString() === new Date().toDateString()) return time;
  const [month, day] = [date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${date.getFullYear()}-${month}-${day} ${time}`;
}
