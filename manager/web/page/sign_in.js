// The form of the sign-in: a printed link, or a password where one is set.

import { el } from "./dom.js";
import { t } from "./format.js";
import { ask, signIn, signInByLink } from "./stream.js";

/** Return the form. `onDone` is called when it has signed in, `onFailed` with what is wrong. */
export function signInForm(why, onDone, onFailed) {
  const link = el("input", { type: "text", autocomplete: "off", "aria-label": t("the link"), placeholder: "http://…/#link=…" });
  const byPassword = el("div", { class: "by-password" });
  const enter = (event) => {
    event.preventDefault();
    const [password, code] = byPassword.querySelectorAll("input:not([hidden])");
    const secret = link.value.split("#link=").at(-1).trim();
    const begun = secret && !password?.value ? signInByLink(secret) : signIn({ password: password?.value ?? "", code: code?.value.trim() ?? "" });
    begun.then(onDone, (error) => onFailed(error.message));
  };
  offerPassword(byPassword);
  return el(
    "form",
    { class: "card sign-in", onsubmit: enter },
    el("h2", {}, t("Not signed in")),
    byPassword,
    el("p", {}, t("Open the link that `manager serve` has printed in its terminal, or paste it here. It works once; `manager serve link` prints a new one.")),
    link,
    el("button", { class: "chip" }, t("Sign in")),
    why ? el("p", { class: "bad" }, why) : "",
  );
}

/** Add fields for a password, and for its one-time code, where the server takes them. */
async function offerPassword(place) {
  let ways;
  try {
    ways = await ask("session");
  } catch {
    return;
  }
  if (!ways.password) return;
  // who is asked for is the role of the password alone, but browsers keep a password by a name
  place.append(el("input", { type: "text", autocomplete: "username", value: location.host, hidden: true, tabindex: "-1", "aria-hidden": "true" }));
  place.append(el("input", { type: "password", autocomplete: "current-password", "aria-label": t("password"), placeholder: t("password") }));
  if (ways.code) {
    const code = t("one-time code");
    place.append(el("input", { type: "text", inputmode: "numeric", autocomplete: "one-time-code", "aria-label": code, placeholder: code }));
  }
}
