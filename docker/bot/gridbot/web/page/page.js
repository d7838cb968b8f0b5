// Asks the bot every other second and redraws. Nothing here changes anything but the controls, which need the token.

import { ageIn } from "./age.js";
import { Plots } from "./plots.js";

const STATUS_EVERY_MS = 2000, CHART_EVERY_MS = 4000;
const RANGES = [[0.25, "15 min"], [1, "1 h"], [6, "6 h"], [24, "24 h"], [168, "7 d"]];
const $ = (id) => document.getElementById(id);
const plots = new Plots($("plots"), $("figures"), { time: timeOf, pnl: (value) => signed(value), position: String });
const state = { status: null, chart: null, trades: [], hours: 1, failedAt: null, centred: false };

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function put(id, ...parts) { $(id).replaceChildren(...parts); }

function cell(text, kind) {
  const made = document.createElement("td");
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function nothing(columns, text) {
  const made = cell(text, "none");
  made.colSpan = columns;
  return row(made);
}

function small(text) {
  const made = document.createElement("small");
  made.textContent = ` ${text}`;
  return made;
}

function money(text, digits = 2) {
  if (text === null || text === undefined) return "–";
  const value = Number(text), few = Math.abs(value) > 0 && Math.abs(value) < 1 ? Math.max(digits, 4) : digits;
  return value.toLocaleString("en-US", { minimumFractionDigits: few, maximumFractionDigits: few });
}

function signed(text, shown = money(text)) {
  return Number(text) > 0 ? `+${shown}` : shown;
}

function short(text) { return signed(text, Number(text).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })); }

function grouped(text) {
  const [whole, part] = String(text).split(".");
  return Number(whole).toLocaleString("en-US") + (part ? `.${part}` : "");
}

function exact(text) { return String(text).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, ""); }

function timeOf(seconds, withDay) {
  const date = new Date(seconds * 1000), parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const time = date.toLocaleTimeString([], parts);
  if (!withDay && date.toDateString() === new Date().toDateString()) return time;
  return `${date.toLocaleDateString([], { month: "short", day: "numeric" })} ${time}`;
}

const CONDITIONS = {
  paused: "paused", out_of_range: "out of range", exchange_away: "exchange away", orders_refused: "orders refused",
  ledger_differs: "ledger differs", stopped_out: "stopped out", finished: "finished",
};

function showState(s) {
  const box = $("state"), code = s.health === "unhealthy" ? null : s.condition?.code, trading = code === "trading";
  box.className = `state ${trading ? "good" : s.health === "healthy" ? "idle" : "bad"}`;
  $("state-text").textContent = trading ? `trading · up ${ageIn(s.uptime)}` : CONDITIONS[code] ?? "not trading";
  const banner = $("banner"), why = trading ? null : s.reason;
  banner.hidden = !why;
  banner.textContent = why ?? "";
}

function showStatus(s) {
  showState(s);
  $("controls").hidden = !s.controls;
  if (!s.symbol) return;
  document.title = `${s.instance} · ${s.symbol}`;
  $("symbol").textContent = s.symbol;
  const badge = $("mode");
  badge.hidden = false;
  badge.textContent = s.mode.toUpperCase();
  badge.className = `badge ${s.mode}`;
  const prices = { live: "live prices", synthetic: "synthetic market", replay: "replayed prices" }[s.source];
  $("about").textContent = [s.instance, s.exchange, s.strategy, s.market_type, prices].join(" · ");
  if (s.price === null) return;

  put("price", grouped(s.price), small(s.quote));
  $("price-note").textContent = s.grid ? `range ${exact(s.grid.lower)} – ${exact(s.grid.upper)}` : "";
  put("pnl", signed(s.pnl), small(s.quote));
  $("pnl").className = `figure ${Number(s.pnl) > 0 ? "gain" : Number(s.pnl) < 0 ? "loss" : ""}`;
  $("pnl-note").textContent = `realised ${short(s.realized)} · open ${short(s.unrealized)} · fees ${short(s.fees).replace("+", "")}`;
  put("position", s.position, small(s.base));
  $("position-note").textContent = Number(s.position) ? `at ${money(s.average_price)} on average` : "flat";
  const buys = s.open_orders.filter((order) => order.side === "buy").length;
  $("orders").textContent = s.open_orders.length;
  $("orders-note").textContent = `${buys} buy · ${s.open_orders.length - buys} sell`;
  $("trades").textContent = s.trades.toLocaleString("en-US");
  $("trades-note").textContent = `volume ${money(s.volume, 0)} ${s.quote}`;
  $("pnl-unit").textContent = `in ${s.quote}, after fees${s.market === "live" ? "" : `, ${s.market} prices`}`;
  $("position-unit").textContent = `in ${s.base}`;
  $("pause").textContent = s.paused ? "Resume" : "Pause";
  $("pause").dataset.action = s.paused ? "resume" : "pause";
  showOrders(s);
  showErrors(s);
}

function showOrders(s) {
  const price = Number(s.price), rows = [];
  let passed = false;
  for (const order of s.open_orders) {
    if (!passed && Number(order.price) <= price) {
      passed = true;
      rows.push(priceRow(s.price));
    }
    const away = (Number(order.price) / price - 1) * 100;
    const left = order.filled === "0" ? order.quantity : `${order.filled} / ${order.quantity}`;
    const side = order.state === "open" ? order.side : `${order.side} …`;
    rows.push(row(cell(side, order.side), cell(grouped(order.price), "n"), cell(left, "n"), cell(`${away > 0 ? "+" : ""}${away.toFixed(2)} %`, "n")));
  }
  if (!passed && rows.length) rows.push(priceRow(s.price));
  put("order-rows", ...(rows.length ? rows : [nothing(4, "no open orders")]));
  const middle = document.querySelector("td.mid");
  if (middle && !state.centred) {
    const box = middle.closest(".scroll");
    box.scrollTop = middle.offsetTop - box.clientHeight / 2;
    state.centred = true;
  }
  $("orders-count").textContent = rows.length ? `${s.open_orders.length}` : "";
}

function priceRow(price) {
  const made = cell(`price ${grouped(price)}`, "mid");
  made.colSpan = 4;
  return row(made);
}

function showErrors(s) {
  const items = s.errors.map((error) => {
    const item = document.createElement("li"), time = document.createElement("time"), times = document.createElement("span"), text = document.createElement("span");
    time.textContent = timeOf(error.last_at);
    times.textContent = error.count > 1 ? `${error.count} times` : error.kind;
    times.className = "times";
    text.textContent = error.message;
    text.className = "message";
    item.append(time, times, text);
    return item;
  });
  if (!items.length) {
    const none = document.createElement("li");
    none.className = "none";
    none.textContent = "none";
    items.push(none);
  }
  put("error-rows", ...items);
  $("errors-count").textContent = s.errors_total ? `${s.errors_total}` : "";
}

function showTrades() {
  const rows = state.trades.map((trade) =>
    row(cell(timeOf(trade.at)), cell(trade.side, trade.side), cell(grouped(trade.price), "n"), cell(trade.quantity, "n"), cell(money(trade.fee, 4), "n roomy"), cell(trade.position, "n")));
  put("trade-rows", ...(rows.length ? rows : [nothing(6, "no trades yet")]));
  $("trades-count").textContent = rows.length ? `last ${rows.length}` : "";
}

function draw() {
  const { status, chart } = state;
  if (!chart || !status || !status.symbol || status.price === null) return;
  plots.show({ ...chart, to: Math.max(chart.to, status.last_tick) }, status);
}

async function refreshStatus() {
  try {
    state.status = await ask("api/status");
    state.failedAt = null;
    showStatus(state.status);
    $("updated").textContent = `updated ${timeOf(state.status.timestamp)}`;
  } catch {
    state.failedAt ??= Date.now() / 1000;
    $("state").className = "state bad";
    $("state-text").textContent = "no answer";
    $("banner").hidden = false;
    $("banner").textContent = `The bot doesn't answer since ${timeOf(state.failedAt)}. What is shown is from before.`;
  }
}

async function refreshChart() {
  try {
    [state.chart, state.trades] = await Promise.all([ask(`api/history?hours=${state.hours}`), ask("api/trades?limit=40")]);
    showTrades();
    draw();
  } catch { /* the status says that there is no answer */ }
}

async function act(event) {
  event.preventDefault();
  const action = event.submitter.dataset.action, note = $("control-note");
  if (action === "stop" && !confirm("Cancel all orders of this bot and stop it?")) return;
  try {
    const answer = await fetch(`api/${action}`, { method: "POST", headers: { Authorization: `Bearer ${$("token").value}` } });
    note.textContent = answer.ok ? "done" : (await answer.json()).error;
  } catch {
    note.textContent = "no answer";
  }
  refreshStatus();
}

function every(milliseconds, task) {
  const run = async () => {
    if (!document.hidden) await task();
    setTimeout(run, milliseconds);
  };
  run();
}

for (const [hours, name] of RANGES) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.setAttribute("aria-pressed", String(hours === state.hours));
  button.addEventListener("click", () => {
    state.hours = hours;
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    refreshChart();
  });
  document.querySelector(".ranges").append(button);
}
$("control-form").addEventListener("submit", act);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { refreshStatus(); refreshChart(); } });
await refreshStatus();
every(CHART_EVERY_MS, refreshChart);
setTimeout(() => every(STATUS_EVERY_MS, async () => { await refreshStatus(); draw(); }), STATUS_EVERY_MS);
