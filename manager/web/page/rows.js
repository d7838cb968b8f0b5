// Draw the strip, the cards of what needs a person, and the bots.

import { verbButtons } from "./actions.js";
import { now } from "./clock.js";
import { rangeBar, sparkline } from "./drawings.js";
import { el } from "./dom.js";
import { age, amount, listed, moment, money, price, product, punctuated, shortened, signClass, t, withMinus } from "./format.js";
import { stateOf, todayOf } from "./model.js";

/** Return an age that goes on by itself: main.js writes it again every second. */
export function since(unix, isAgo = false) {
  const element = el("time", { "data-since": unix, "data-ago": isAgo, title: moment(unix) });
  renew(element);
  return element;
}

/** Write the present age into what `since` has made. */
export function renew(element) {
  const text = age(now() - Number(element.dataset.since));
  element.textContent = element.dataset.ago === undefined ? text : t("{age} ago", { age: text });
}

/** Return the mark of real or paper money. */
export function modeBadge(each) {
  const kind = each.is_artificial ? each.market : each.mode;
  return el(
    "span",
    { class: `badge ${each.is_live ? "live" : "paper"}` },
    each.is_artificial && !each.is_live ? `${each.mode_text} · ${t(kind)}` : each.mode_text || "?",
  );
}

/** Return the mark of state and doing, in the colour of its urgency. */
export function stateBadge(each) {
  return el("span", { class: `badge state ${each.severity}` }, stateOf(each));
}

function signed(text, unit = "") {
  return el("span", { class: `amount ${signClass(text)}` }, number(text, money(text)), unit ? el("small", {}, ` ${unit}`) : "");
}

/** Return a number that is never broken: what goes on in the next line is read as another one. One without room has its digits in the title. */
function number(text, whole) {
  const isHuge = whole.length > HUGE;
  const shown = isHuge ? `${whole.match(/^[+−]?/)[0]}${shortened(text)}` : whole;
  return el("span", { class: `sum${shown.length > LONG ? " long" : ""}`, ...(isHuge ? { title: whole } : {}) }, shown);
}

/** A sum with more characters than these is written smaller: it has to fit half a phone. */
const LONG = 11;

/** One with more than these has no room in a line there. */
const HUGE = 16;

function box(title, big, ...small) {
  const lines = small.flat().filter(Boolean);
  return el("section", { class: "box" }, el("h2", {}, title), el("div", { class: "big" }, big), ...lines);
}

function line(...content) {
  return el("p", { class: "small" }, ...content);
}

/** Return the parts of a text, none of which is broken: a number that begins a line is read as another one's. */
function unbroken(text) {
  const parts = text.split(" · ");
  return parts.flatMap((part, index) => (index < parts.length - 1 ? [el("span", { class: "part" }, `${part} ·`), " "] : [el("span", { class: "part" }, part)]));
}

function sums(fleet, kind, name) {
  const parts = fleet.pnl.filter((each) => each.kind === kind && each[name] !== null);
  const total = fleet.totals.find((each) => each.kind === kind);
  return { parts, total };
}

function sumBox(fleet, kind, name, title, nothing, more) {
  const { parts, total } = sums(fleet, kind, name);
  if (!parts.length) return box(title, el("span", { class: "amount flat" }, "–"), line(nothing), more);
  const big = parts.map((each) => el("div", { class: money(each[name]).length > LONG ? "long" : "" }, signed(each[name], each.quote)));
  const small = [];
  if (total && total[name] !== null && parts.length > 1) {
    small.push(line(t("by the stated rates: {amount}", { amount: `${money(total[name])} ${total.currency}` })));
    if (total.missing.length) small.push(line(t("without {currencies}: no rate is stated", { currencies: listed(total.missing) })));
  }
  if (name === "today" && parts.some((each) => each.is_uncertain)) {
    small.push(line(t("a part is missing, or of another day")));
  }
  return box(title, big, [...small, ...more]);
}

/** Return how deep the live P&L has fallen over the last day, by currency. */
function falls(curves) {
  const falls = (curves?.curves ?? []).filter((each) => each.kind === "live" && Number(each.drawdown) > 0);
  const amounts = falls.map((each) => `${money(`-${each.drawdown}`)} ${each.quote}`);
  return amounts.length ? [line(...unbroken(t("deepest fall in 24 h: {amount}", { amount: amounts.join(" · ") })))] : [];
}

/** Return what all runs have earned, those of stopped bots too. */
function inAll(fleet) {
  const parts = fleet.pnl.filter((each) => each.kind === "live" && each.in_all !== null);
  if (!parts.length) return [];
  return [line(t("all runs, stopped bots too"), punctuated(": "), ...parts.map((each) => [signed(each.in_all, each.quote), " "]))];
}

/** Return what the P&L of the present runs consists of, by currency. */
function splits(fleet) {
  return fleet.pnl
    .filter((each) => each.kind === "live" && each.run !== null && each.realized !== null && each.unrealized !== null && each.fees !== null)
    .map((each, _index, all) => line(unbroken(t("realised {realised} · open {open} · fees {fees}", { realised: money(each.realized), open: money(each.unrealized), fees: money(each.fees).replace("+", "") })), all.length > 1 ? ` ${each.quote}` : ""));
}

/** Return both sides of an asset that one bot holds and another one owes. */
function sides(each) {
  if (Number(each.long) === 0 || Number(each.short) === 0) return "";
  return el("p", { class: "small" }, unbroken(t("long {long} · short {short}", { long: amount(each.long), short: amount(each.short) })));
}

/** Return what all positions together are worth, by currency, and which are not in it. */
function worthLines({ values, unknown }) {
  const sums = values.map((each) => {
    const hasBoth = Number(each.long) !== 0 && Number(each.short) !== 0;
    return [
      el("div", { class: "worth amount" }, number(each.net, money(each.net)), el("small", {}, ` ${each.quote} ${t("net")}`)),
      hasBoth ? line(unbroken(t("long {long} · short {short}", { long: money(each.long).replace("+", ""), short: money(each.short).replace("+", "") }))) : "",
    ];
  });
  const none = unknown.length ? line(t("not in a sum, no price is known: {assets}", { assets: listed(unknown) })) : "";
  return [...sums.flat(), none];
}

/** Return what the live bots hold by asset, with what no bot trades any more. */
function exposureBox(exposure, worth, unknown) {
  const held = exposure.map((each) => {
    const worth = listed(each.values.map(({ quote, value }) => `${money(value)} ${quote}`));
    return el("div", { class: "held" }, signedAmount(each.net, each.base), worth ? el("small", {}, ` ${worth}`) : "", sides(each));
  });
  const gone = exposure
    .filter((each) => each.bots_gone.length)
    .map((each) =>
      el("p", { class: "small gone" }, t("without a bot: {amount} ({ids})", { amount: `${Number(each.without_bot) > 0 ? "+" : ""}${amount(each.without_bot, each.base)}`, ids: listed(each.bots_gone) })),
    );
  const left = unknown ? el("p", { class: "small bad" }, leftUnknown(unknown)) : "";
  const found = box(t("Live positions"), held.length ? worthLines(worth) : unknown ? "?" : t("none"), ...held, ...gone, left, line(t("as the bots last reported")));
  found.classList.add("wide");
  return found;
}

/** Return of how many bots nobody knows what they have left. */
export function leftUnknown(count) {
  return count === 1 ? t("unknown what is left at the exchange: 1 bot") : t("unknown what is left at the exchange: {count} bots", { count });
}

/** Return the boxes below the strip: real money first, paper apart. */
export function boxes(model) {
  const { fleet, curves } = model;
  const { counts } = fleet;
  const found = [];
  if (counts.live) {
    found.push(sumBox(fleet, "live", "today", t("Live P&L today"), todayUnknown(fleet), falls(curves)));
    found.push(sumBox(fleet, "live", "run", t("Live P&L of the present runs"), t("no live bot has reported yet"), [...splits(fleet), ...inAll(fleet)]));
    found.push(exposureBox(fleet.exposure, fleet.worth, counts.left_unknown));
  }
  if (counts.paper) found.push(...paperBoxes(fleet));
  found.push(
    box(
      t("Bots"),
      [String(counts.trading), el("small", {}, ` ${t("of {count} trade", { count: counts.instances })}`)],
      line(t("{live} live, {paper} on paper", counts)),
      line(unbroken(inWords(model.worstFirst()))),
    ),
  );
  return found;
}

/** Return how many do what, worst first. */
function inWords(instances) {
  const counts = new Map();
  for (const each of instances) counts.set(stateOf(each), (counts.get(stateOf(each)) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(" · ");
}

/** Return the boxes of what is no real money: of a market's prices, and of others. */
function paperBoxes(fleet) {
  const others = [...new Set(fleet.pnl.map((each) => each.kind))].filter((kind) => !["live", "paper"].includes(kind));
  const kinds = fleet.pnl.some((each) => each.kind === "paper") || !others.length ? ["paper", ...others] : others;
  return kinds.map((kind) => {
    const title = kind === "paper" ? t("On paper today") : t("Today, prices of no market ({kind})", { kind: t(kind) });
    const [today, runs] = [sums(fleet, kind, "today").parts, sums(fleet, kind, "run").parts];
    return box(
      title,
      today.length ? today.map((each) => el("div", {}, signed(each.today, each.quote))) : el("span", { class: "amount flat" }, "–"),
      line(t("present runs"), punctuated(": "), runs.length ? runs.map((each) => [signed(each.run, each.quote), " "]) : "–"),
    );
  });
}

function signedAmount(text, unit) {
  return el("span", {}, number(text, `${Number(text) > 0 ? "+" : ""}${amount(text)}`), el("small", {}, ` ${unit}`));
}

function todayUnknown(fleet) {
  return fleet.figures_at === null ? t("the history is being read") : t("the history has nothing of today");
}

/** Return the card of a bot that needs a person. */
export function needCard(each, open, openLog) {
  return el(
    "li",
    { class: `need ${each.severity}` },
    el(
      "button",
      { class: "name", "data-key": `need ${each.id}`, onclick: () => open(each.id) },
      stateBadge(each),
      el("strong", {}, each.id),
      modeBadge(each),
    ),
    el("p", {}, reasonOf(each)),
    positionLine(each),
    el("div", { class: "chips" }, el("button", { class: "chip", "data-key": `log ${each.id}`, onclick: () => openLog(each.id) }, t("Log")), ...verbButtons(each, (verb) => open(each.id, verb))),
  );
}

/** Return what it holds, unless the reason says so already. */
function positionLine(each) {
  if (each.position === null || Number(each.position) === 0) return "";
  const held = amount(each.position, each.base);
  return reasonOf(each).includes(held) ? "" : line(t("position: {amount}", { amount: held }));
}

/** Return what a bot holds; that it held nothing before is no position where nobody knows what is left. */
function holding(each) {
  const isUnknown = each.position === null || (each.is_left_unknown && Number(each.position) === 0);
  if (isUnknown) return each.is_left_unknown ? "?" : amount(each.position);
  return [number(each.position, amount(each.position)), each.base ? ` ${each.base}` : ""];
}

/** Return why a person should look. */
export function reasonOf(each) {
  return withMinus(each.mode_mismatch || each.note || each.doing_why || each.why || t("no reason was given"));
}

/** Return until when a person has left it as it is; nothing if nobody has. */
export function leftLine(each) {
  return each.left_until === null ? "" : el("p", { class: "small left" }, t("snoozed until {time}", { time: moment(each.left_until) }));
}

/** Return the row of a bot. `select`: how it is chosen for an action. */
export function botRow(each, open, select) {
  const today = todayOf(each);
  const isDown = !each.is_up;
  const isOld = hasOldFigures(each);
  const label = each.range && each.price !== null ? t("price {price}, range {lower} to {upper}", { price: price(each.price), lower: price(each.range.lower), upper: price(each.range.upper) }) : "";
  return el(
    "li",
    { class: `bot ${each.severity}${isDown ? " off" : ""}`, "data-id": each.id },
    el(
      "span",
      { class: "c-state" },
      el("input", {
        type: "checkbox",
        "aria-label": t("select {id}", { id: each.id }),
        "data-key": `select ${each.id}`,
        checked: select.isSelected(each.id),
        onchange: (event) => select.choose(each.id, event.target.checked),
      }),
      stateBadge(each),
    ),
    el(
      "button",
      { class: "c-name", "data-key": `bot ${each.id}`, onclick: () => open(each.id) },
      el("strong", {}, each.id),
      el("small", {}, [each.exchange, each.symbol].filter(Boolean).join(" · ")),
    ),
    el("span", { class: "c-mode" }, modeBadge(each)),
    cell("c-today", t("Today"), signed(today?.pnl ?? null, today ? each.quote : ""), isOld),
    cell("c-pnl", t("This run"), signed(each.pnl, each.pnl === null ? "" : each.quote), isOld),
    el("span", { class: "c-spark", title: t("P&L over the last 24 h") }, sparkline(each.trend)),
    cell("c-position", t("Position"), el("span", {}, ...[holding(each)].flat(), worth(each)), isOld),
    el("span", { class: "c-range", title: label }, label ? rangeBar(each.price, each.range, label) : ""),
    cell("c-orders", t("Orders"), el("span", {}, each.is_left_unknown ? "?" : each.open_orders ?? "–")),
    cell("c-fill", t("Last fill"), each.last_fill ? since(each.last_fill) : el("span", {}, "–")),
    each.note || each.left_until !== null ? el("div", { class: "c-note" }, withMinus(each.note ?? ""), leftLine(each)) : "",
  );
}

/** Return whether P&L and position are not of now: of a bot that is down, or of a price that is too long ago. */
export function hasOldFigures(each) {
  return each.report_is_old || each.price_is_old;
}

/** Return what the position is worth at the price of the report. */
function worth({ position, price: at, quote }) {
  const value = product(position, at);
  if (!Number(value) || !quote) return "";
  return el("small", {}, number(value, money(value)), ` ${quote}`);
}

function cell(name, label, content, isOld = false) {
  return el("span", { class: `c ${name}${isOld ? " old" : ""}` }, el("span", { class: "label" }, label), content);
}

/** Return the heads of the bots' columns, for a wide screen. */
export function botHeads() {
  const heads = [t("State"), t("Bot"), "", t("Today"), t("This run"), t("24 h"), t("Position"), t("Price in its range"), t("Orders"), t("Last fill")];
  return el("div", { class: "bot heads", "aria-hidden": "true" }, ...heads.map((head) => el("span", {}, head)));
}
