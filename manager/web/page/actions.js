// Ask before an action, start it, and show what the command prints. Each is a command of the manager's.

import { now } from "./clock.js";
import { el, focus, refill, show, take } from "./dom.js";
import { age, amount, bracketed, labelled, listed, moment, t, withMinus } from "./format.js";
import { printed } from "./printed.js";
import { ask, madeUp, may, SignedOut, Unheard } from "./stream.js";

const HOLD_MS = 1500;
const POLL_MS = 500;
const TRIES = 20;
const AGAIN_S = 60;

/** Return the commands that have a button, with their names. */
export function verbNames() {
  return {
    start: t("Start"),
    stop: t("Stop"),
    restart: t("Restart"),
    upgrade: t("Upgrade"),
    close: t("Close position"),
    orders: t("Ask the exchange"),
    snooze: t("Snooze"),
    unsnooze: t("End the snooze"),
  };
}

/** In what a container differs from its config, and is put back without an upgrade: by `up`, a start or a restart. */
const PUT_BACK = new Set(["limits", "restart policy", "shares", "settings"]);

/** Return the commands that a bot can be given now, by who is signed in. */
function verbsOf(each) {
  if (!may("operate")) return [];
  const isStopped = each.wish === "stopped" || each.halted;
  const isHeld = each.mode === "live" && Number(each.position ?? 0) !== 0;
  const found = each.is_up ? ["restart", "stop"] : ["start"];
  if (!each.is_up && isHeld) found.push(isStopped ? "close" : "stop"); // a position is closed by what cannot trade meanwhile
  if (each.drift.some((kind) => !PUT_BACK.has(kind))) found.push("upgrade");
  if (each.mode === "live" && each.container_id) found.push("orders");
  if (each.left_until !== null) found.push("unsnooze");
  else if ((each.needs_person && !each.mode_mismatch) || each.alerts.length) found.push("snooze");
  return found;
}

/** Return whether a command can be given to a bot together with others: those that do nothing to it say so. */
export function isForIt(each, verb) {
  return ["start", "stop", "restart"].includes(verb) || verbsOf(each).includes(verb);
}

/** Return a button for each of them, which calls `choose` with the verb. */
export function verbButtons(each, choose) {
  const names = verbNames();
  return verbsOf(each).map((verb) => el("button", { class: "chip", "data-key": `act ${verb} ${each.id}`, onclick: () => choose(verb) }, `${names[verb]}…`));
}

/** Show the question; for real money the id has to be typed. */
export async function askFirst(id, verb, place) {
  const name = verbNames()[verb];
  const isMine = take(place);
  refill(place, el("p", { class: "small" }, "…"));
  const path = `instances/${encodeURIComponent(id)}/actions`;
  let question;
  try {
    question = await ask(`${path}/${verb}`);
  } catch (error) {
    if (isMine()) refill(place, el("p", { class: "bad" }, error.message));
    return;
  }
  if (!isMine()) return;
  const typed = el("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": t("type {id} to confirm", { id }), placeholder: id });
  const go = el("button", { class: `chip ${question.needs_id ? "danger" : ""}`, "data-key": "go", disabled: question.needs_id }, `${name} ${id}`);
  typed.addEventListener("input", () => {
    go.disabled = typed.value !== id;
  });
  const until = untilChoice(question.until);
  const act = (event) => {
    event.preventDefault();
    if (go.disabled) return;
    run(place, sender(path, { verb, confirm: question.needs_id ? typed.value : "", until: until?.value ?? "" }));
  };
  refill(
    place,
    el(
      "form",
      { class: "question", onsubmit: act },
      ...question.sentences.map((sentence) => el("p", {}, withMinus(sentence))),
      until ? el("label", {}, t("until"), until) : "",
      question.needs_id ? el("label", {}, t("type {id} to confirm", { id }), typed) : "",
      el("div", { class: "chips" }, go, el("button", { class: "chip", type: "button", onclick: () => clear(place, `act ${verb} ${id}`) }, t("Cancel"))),
    ),
  );
  (question.needs_id ? typed : go).focus();
}

function clear(place, asked) {
  take(place);
  refill(place);
  focus(asked, place.closest("dialog"));
}

/** Return the choice of a time until which alerts are left; nothing for another command. `morning`: what it is without one. */
export function untilChoice(morning) {
  if (morning === null) return null;
  const options = { "": moment(morning), "1h": t("{count} h from now", { count: 1 }), "8h": t("{count} h from now", { count: 8 }), "3d": t("{count} d from now", { count: 3 }), "7d": t("{count} d from now", { count: 7 }) };
  return el("select", {}, ...Object.entries(options).map(([value, text]) => el("option", { value }, text)));
}

/** Return what asks for a command: also again, where no answer came, and yet carried out once. Who has gone on
 * to something else meanwhile, as with a laptop that was shut, does not expect it any more. */
export function sender(path, wanted) {
  const key = madeUp();
  let first = null;
  const pressedAt = Date.now();
  return () => {
    if (first !== null) requireRecent(pressedAt);
    const again = first === null ? {} : { asked_at: first };
    first ??= now();
    return ask(path, { method: "POST", body: JSON.stringify({ ...wanted, key, ...again }) });
  };
}

/** Return what asks for a halt: also again, where no answer came, as a second halt changes nothing. Not after a while:
 * the fleet may have been halted and resumed by other means since. */
export function haltSender(path) {
  let isFirst = true;
  const pressedAt = Date.now();
  return () => {
    if (!isFirst) requireRecent(pressedAt);
    isFirst = false;
    return ask(path, { method: "POST", body: JSON.stringify({ confirm: "halt" }) });
  };
}

function requireRecent(pressedAt) {
  const passed = (Date.now() - pressedAt) / 1000;
  if (passed > AGAIN_S) throw new Error(t("asked for {age} ago, and not answered: it is not asked for again; `manager history` shows whether it was carried out", { age: age(passed) }));
}

/** Start a command and show its lines until it has ended. */
export async function run(place, begin) {
  const output = el("div", { class: "output", role: "log", "aria-live": "polite", tabindex: "0", "aria-label": t("what the command prints") });
  const verdict = el("p", { class: "verdict" });
  take(place);
  refill(place, output, verdict);
  if (document.activeElement === document.body) output.focus({ preventScroll: true }); // what was pressed is gone
  verdict.textContent = t("asking…");
  let action;
  for (let failures = 0; action === undefined; failures += 1) {
    try {
      action = await begin();
    } catch (error) {
      verdict.className = "verdict bad";
      const isLast = !(error instanceof Unheard) || failures >= TRIES;
      verdict.textContent = isLast ? error.message : t("{why}; it is asked for again", { why: error.message });
      if (isLast) return false;
      await new Promise((go) => setTimeout(go, 1000));
    }
  }
  verdict.className = "verdict";
  for (let failures = 0; ; ) {
    print(output, [`$ ${action.command}`, ...action.lines]);
    if (action.exit_code !== null) break;
    verdict.textContent = t("it runs; closing this does not stop it");
    await new Promise((go) => setTimeout(go, POLL_MS));
    try {
      action = await ask(`actions/${action.number}`);
      failures = 0;
    } catch (error) {
      if (error instanceof SignedOut) return false;
      if (error.status === 404) {
        verdict.className = "verdict bad";
        verdict.textContent = t("`manager serve` was started again meanwhile: its result is unknown here. The bot's row shows its state, and `manager history` shows what was done");
        return false;
      }
      failures += 1;
      verdict.textContent = `${t("its present state is not known; it keeps running")}${bracketed(error.message)}`;
      if (failures > 120) return false;
    }
  }
  const isDone = action.exit_code === 0;
  verdict.className = `verdict ${isDone ? "well" : "bad"}`;
  verdict.textContent = isDone ? t("done") : t("it ended with exit code {code}: see its output", { code: action.exit_code });
  return true;
}

/** Show the lines, where they have changed; who has scrolled back to read stays there. */
function print(output, lines) {
  const known = lines.join("\n");
  if (output.dataset.known === known) return;
  output.dataset.known = known;
  const isAtEnd = output.scrollHeight - output.scrollTop - output.clientHeight < 40;
  output.replaceChildren(...printed(lines));
  if (isAtEnd) output.scrollTop = output.scrollHeight;
}

/** Return the kill switch: held, it halts; a short press says what it does. */
export function haltButton(model, dialog) {
  return holdButton("halt", t("HALT — hold"), () => openHalt(model, dialog, true), () => openHalt(model, dialog, false));
}

/** Return a button that acts when it is held; `short`: what a short press does. */
export function holdButton(name, text, done, short) {
  let timer = null;
  let isHeld = false;
  const button = el("button", { class: "halt", "data-key": name }, el("span", { class: "fill", "aria-hidden": "true" }), el("span", { class: "text" }, text));
  const begin = () => {
    if (timer !== null) return;
    isHeld = false;
    button.classList.add("held");
    timer = setTimeout(() => {
      end();
      if (!button.isConnected) return; // what was let go of since is told to whatever lies there now
      isHeld = true;
      done();
    }, HOLD_MS);
  };
  const end = () => {
    clearTimeout(timer);
    timer = null;
    button.classList.remove("held");
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button === 0) begin();
  });
  for (const gone of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(gone, end);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if (!["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  button.addEventListener("keyup", (event) => {
    if (!["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    const wasShort = timer !== null;
    end();
    if (wasShort) short?.();
  });
  button.addEventListener("click", () => {
    if (!isHeld) short?.();
    isHeld = false;
  });
  return button;
}

function openHalt(model, dialog, isHeld) {
  const place = el("div", { class: "place" });
  const { counts, exposure } = model.fleet;
  const close = () => dialog.close();
  take(dialog);
  const go = () => run(place, haltSender("halt"));
  refill(
    dialog,
    el("div", { class: "head" }, el("h2", {}, t("Halt the whole fleet")), el("button", { class: "chip", "data-key": "close", onclick: close }, t("Close"))),
    el("p", {}, t("Every bot is stopped at once, {live} live and {paper} on paper. Each cancels its orders, and the exchange is asked whether any is left.", counts)),
    el("p", {}, labelled(t("Live positions stay open"), exposure.length ? listed(exposure.map((each) => amount(each.net, each.base))) : t("none that is known"))),
    el("p", { class: "small" }, t("Only `manager resume`, or starting a bot, ends a halt.")),
    place,
  );
  show(dialog);
  if (isHeld) go();
  else refill(place, holdButton("halt again", t("HALT — hold"), go));
}
