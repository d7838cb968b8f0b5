// Hold what the parts of the page share: its elements, the fleet as it was last told, the reader's settings.

import { Model } from "./model.js";

export const parts = Object.fromEntries(["strip", "halt", "banners", "main", "detail"].map((id) => [id, document.getElementById(id)]));
export const model = new Model();

/** What `layout.js` makes, by name: the rest is filled in again and again. */
export const places = {};

/** Whether somebody is signed in, and the event stream that he gets. */
export const session = { isOn: false, stream: null };

export const setting = {
  get: (name, fallback) => localStorage.getItem(`botfleet-${name}`) ?? fallback,
  set: (name, value) => localStorage.setItem(`botfleet-${name}`, value),
};
