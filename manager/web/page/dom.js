// Make elements. Text is only ever put in as text: a bot or a config may say anything.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element: attributes by name, `on…` listeners as functions, children as elements or text. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return an element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const turns = new WeakMap();

/** Take an element, for that id, until something else takes it. Return what says whether nothing else has: answers come late. */
export function take(element, id = "") {
  const turn = {};
  element.dataset.id = id;
  turns.set(element, turn);
  return () => turns.get(element) === turn;
}

/** Replace what is in an element, and keep the focus on what has the same data-key. */
export function refill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...children.flat(2).filter(Boolean));
  if (focused === undefined) return;
  for (const each of element.querySelectorAll("[data-key]")) {
    if (each.dataset.key === focused) each.focus({ preventScroll: true });
  }
}

/** What had the focus when a dialog was opened, by its data-key: it may be drawn anew meanwhile. */
let opener;

/** Open the dialog, unless it is. */
export function show(dialog) {
  if (dialog.open) return;
  opener = document.activeElement?.dataset.key;
  dialog.showModal();
}

/** Give the focus back to what has opened the dialog, or else to the bot's row: a browser only knows elements that stay. */
export function giveBack(dialog) {
  const { activeElement: focused } = document;
  if (dialog.open || (focused !== document.body && !dialog.contains(focused))) return;
  focus(opener) || focus(`bot ${dialog.dataset.id}`);
}

/** Focus what has that data-key. Return whether it is there. */
export function focus(key, within = document) {
  const found = [...within.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key && each.checkVisibility());
  found?.focus({ preventScroll: true });
  return Boolean(found);
}
