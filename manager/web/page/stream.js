// Talk with the API. Each request carries the token of the sign-in, which no other port's page can read.

import { noteDate } from "./clock.js";
import { t } from "./format.js";

/** Where every tab of this address finds the token of the sign-in. */
export const TOKEN = "botfleet-token";

/** Where they find what that sign-in may do, behind its token: what is of another one counts for nothing. */
const MAY = "botfleet-may";
const SILENT_MS = 25000;
const LOST_MS = [200, 600, 1500];
const RETRY_MS = [1000, 2000, 4000, 8000];

/** What the window is told when an answer says that the session is over, whoever has asked. */
export const SIGNED_OUT = "botfleet-signed-out";

export class SignedOut extends Error {
  constructor() {
    super(t("the session is over"));
  }
}

/** A request that got no answer: a browser's own words for it are in no language of the page's, and differ. */
export class Unheard extends Error {
  constructor() {
    super(t("`manager serve` does not answer now"));
  }
}

/** A request that was refused, in the server's own words. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

let spoken = "en";

/** Ask for texts in this language from now on. */
export function speak(language) {
  spoken = language;
}

function tokenNow() {
  return localStorage.getItem(TOKEN) ?? "";
}

/** Return whether the sign-in has that permission. The server decides; here it is only which buttons there are. */
export function may(permission) {
  const [of, ...permissions] = (localStorage.getItem(MAY) ?? "").split(" ");
  return of !== tokenNow() || permissions.includes(permission);
}

function headers(token, more = {}) {
  return { "X-Botfleet-Token": token, "Accept-Language": spoken, ...more };
}

/** Return a status and a text; what only reads is asked again where it got lost: a container that comes or goes is enough. */
async function fetched(url, options) {
  for (let failures = 0; ; failures += 1) {
    try {
      const answer = await fetch(url, options);
      noteDate(answer.headers.get("Date"));
      return { status: answer.status, text: await answer.text() };
    } catch {
      if (options.method || failures >= LOST_MS.length) throw new Unheard();
      await new Promise((go) => setTimeout(go, LOST_MS[failures]));
    }
  }
}

/** Return the answer of a route as JSON. Throws SignedOut, Unheard, Refused, or an Error. */
export async function ask(path, options = {}) {
  const more = options.body === undefined ? {} : { "Content-Type": "application/json" };
  const token = tokenNow();
  if (!token && path !== "session") return endOr(token, null, path); // it would be refused
  const { status, text } = await fetched(`/api/v1/${path}`, { ...options, headers: headers(token, more), cache: "no-store" });
  if (status === 401) return endOr(token, () => ask(path, options), path);
  if (status === 204) return null;
  const content = jsonOf(text);
  if (content === undefined) throw new Error(t("instead of `manager serve`, something else answers: HTTP {status}", { status }));
  if (status >= 400) throw new Refused(status, content.detail || content.title);
  return content;
}

/** Say that the session is over; where another tab has signed in since, ask once more instead. */
function endOr(token, again, path = "") {
  if (tokenNow() !== token) return again();
  window.dispatchEvent(new CustomEvent(SIGNED_OUT, { detail: path }));
  throw new SignedOut();
}

/** Return what a text says; undefined where it is no JSON, as what a reverse proxy says by itself. */
function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The link that this tab is signing in with, until there is an answer: a page that is loaded again goes on with it. */
const LINK = "botfleet-link";
const LINK_MS = 60000;

/** Sign in with the secret of a printed link; none: with the one whose answer has not come yet. Return whether there was one. */
export async function signInByLink(link) {
  if (link) sessionStorage.setItem(LINK, JSON.stringify({ link, nonce: madeUp(), at: Date.now() }));
  const given = jsonOf(sessionStorage.getItem(LINK) ?? "");
  const passed = Date.now() - given?.at;
  if (!(passed >= 0 && passed < LINK_MS)) {
    sessionStorage.removeItem(LINK);
    return false;
  }
  for (let failures = 0; ; failures += 1) {
    try {
      await signIn({ link: given.link, nonce: given.nonce });
      break;
    } catch (error) {
      const isRefused = error instanceof Refused && error.status < 500; // else the link may still be good
      if (isRefused) sessionStorage.removeItem(LINK);
      if (isRefused || failures >= LOST_MS.length) throw error;
      await new Promise((go) => setTimeout(go, LOST_MS[failures]));
    }
  }
  sessionStorage.removeItem(LINK);
  return true;
}

/** Return what nobody else can know, and no request has had before. */
export function madeUp() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (number) => number.toString(36).padStart(7, "0")).join("-");
}

/** Sign in with the secret of a printed link, or with a password and its code. */
export async function signIn(given) {
  const made = await ask("session", { method: "POST", body: JSON.stringify(given) });
  localStorage.setItem(MAY, [made.token, ...made.may].join(" "));
  localStorage.setItem(TOKEN, made.token);
}

/** Sign this browser out. */
export async function signOut() {
  await ask("session", { method: "DELETE", body: "" });
  localStorage.removeItem(TOKEN);
  localStorage.removeItem(MAY);
}

/** Read events for ever, each once, across lost connections. `on` gets: event, open, lost, signedOut. */
export class Stream {
  constructor(lastId, on, path = "events") {
    this.lastId = lastId;
    this.path = path;
    this.isOver = false;
    this.on = on;
    this.failures = 0;
    this.abort = null;
    this.isAgain = false;
    this.gone = new AbortController();
    document.addEventListener("visibilitychange", () => this.hurry(), { signal: this.gone.signal });
    window.addEventListener("online", () => this.hurry(), { signal: this.gone.signal });
  }

  /** Try again now rather than later. */
  hurry() {
    if (document.visibilityState === "visible") this.wake?.();
  }

  /** Read no more. */
  stop() {
    this.isOver = true;
    this.gone.abort();
    this.abort?.abort();
    this.wake?.();
  }

  /** Begin again now, behind that event: nothing is lost, the reader wants something else. */
  again(lastId) {
    this.lastId = lastId;
    this.isAgain = true;
    this.abort?.abort();
    this.wake?.();
  }

  /** Read until the session ends. */
  async run() {
    while (!this.isOver) {
      this.isAgain = false;
      try {
        await this.read();
      } catch (error) {
        if (error instanceof SignedOut) return this.on.signedOut();
        if (!this.isAgain) this.failures += 1;
      }
      if (this.isOver) return;
      if (this.isAgain) continue;
      this.on.lost();
      const pause = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
      await new Promise((go) => {
        this.wake = go;
        setTimeout(go, pause);
      });
    }
  }

  async read() {
    this.abort = new AbortController();
    const more = { "Last-Event-ID": this.lastId, Accept: "text/event-stream" };
    const token = tokenNow();
    const answer = await fetch(`/api/v1/${this.path}`, {
      headers: headers(token, more),
      cache: "no-store",
      signal: this.abort.signal,
    });
    if (answer.status === 401) return endOr(token, () => this.read());
    noteDate(answer.headers.get("Date"));
    if (!answer.ok) throw new Error(answer.statusText);
    this.on.open();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const timer = setTimeout(() => this.abort.abort(), SILENT_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      this.failures = 0;
      text += value;
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        await this.take(block);
      }
    }
  }

  /** Take in one event; only then it counts as read. */
  async take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(": ");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
    if (fields.data === undefined) return;
    await this.on.event(fields.event, JSON.parse(fields.data));
    if (fields.id) this.lastId = fields.id;
  }
}
