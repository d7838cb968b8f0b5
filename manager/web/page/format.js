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

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,3}))?$/i;

/** Return a decimal number as its sign, all its digits, and how many of these are behind the point; null if it is none. A JS number has 15 exact digits only. */
function decimal(text) {
  const [, sign, whole, rest, exponent = "0"] = DECIMAL.exec(String(text).trim()) ?? [];
  if (!whole && !rest) return null;
  const scale = rest.length - Number(exponent);
  const digits = BigInt(whole + rest) * 10n ** BigInt(Math.max(0, -scale));
  return { isNegative: sign === "-", digits, scale: Math.max(0, scale) };
}

/** Return the product of two decimal numbers with all its digits, as text; "" where one is none. */
export function product(one, other) {
  const factors = [decimal(one), decimal(other)];
  if (factors.includes(null)) return "";
  const [first, second] = factors;
  const scale = first.scale + second.scale;
  const digits = fixed({ digits: first.digits * second.digits, scale }, scale);
  return (first.isNegative === second.isNegative ? "" : "-") + digits;
}

/** Return its amount without the sign, rounded to so many places. */
function fixed({ digits, scale }, places) {
  const unit = 10n ** BigInt(Math.abs(scale - places));
  const rounded = scale > places ? (digits + unit / 2n) / unit : digits * unit;
  const text = rounded.toString().padStart(places + 1, "0");
  return places ? `${text.slice(0, -places)}.${text.slice(-places)}` : text;
}

/** Return the power of ten of its first digit; 0 for nothing. */
function magnitude({ digits, scale }) {
  return digits === 0n ? 0 : digits.toString().length - 1 - scale;
}

function trimmed(digits) {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

/** Return `+12.34`, always signed, with more places below 1, as `manager ps` does; a dash for unknown. */
export function money(text) {
  const value = decimal(text);
  if (value === null) return "–";
  const rounded = fixed(value, magnitude(value) >= 0 && value.digits ? 2 : 4);
  if (/^[0.]+$/.test(rounded)) return "0.00";
  return (value.isNegative ? "−" : "+") + grouped(rounded);
}

function grouped(digits) {
  const [whole, rest] = digits.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (rest ? `.${rest}` : "");
}

/** Return how many places a number needs for its first digits, at least so many: what is not zero is not written as 0. */
function placesOf(value, least, digits = 2) {
  return Math.min(100, Math.max(least, digits - 1 - magnitude(value)));
}

/** Return an amount with as many places as it needs, at most eight where these tell of anything. */
export function amount(text, unit = "") {
  const value = decimal(text);
  if (value === null) return "–";
  const isSmall = magnitude(value) < -8;
  const number = trimmed(fixed(value, isSmall ? placesOf(value, 8) : 8));
  const digits = value.isNegative && number !== "0" ? `−${number}` : number;
  return unit ? `${digits} ${unit}` : digits;
}

/** Return a price in seven significant digits, or more: all before the point, and two places. */
export function price(text) {
  const value = decimal(text);
  if (value === null) return "–";
  return (value.isNegative && value.digits ? "-" : "") + trimmed(fixed(value, placesOf(value, 2, 7)));
}

/** Return the size of a sum or an amount in a few digits, for where it has no room: `1.23457B`. */
export function shortened(text) {
  const written = new Intl.NumberFormat(spoken, { notation: "compact", maximumSignificantDigits: 6 });
  return written.format(Math.abs(Number(text))).replaceAll(",", "\u202f");
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
