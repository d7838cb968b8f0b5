// Draw P&L over time by uPlot: with scales, and the values under the pointer. Unknown is a gap, never a line.

import { el } from "./dom.js";
import { language, moment, money, t } from "./format.js";

const HEIGHT = 190;
const BESIDE = 24; // px of room that the first time needs
const FONT = "12px system-ui, sans-serif";

/** The charts that are on the page: they are drawn again when colours change. */
const drawn = new Set();

/** Return whether uPlot was got: `make page` gets it. */
export function canPlot() {
  return typeof window.uPlot === "function";
}

/** Return the chart of evenly spaced values between two times. `names`: of the lines, for the values below it. */
export function plot(values, other, times, names) {
  const place = el("div", { class: "plot", role: "img", "aria-label": names.join(", ") });
  const step = (times.end - times.begin) / (values.length - 1);
  const at = values.map((_value, index) => times.begin + index * step);
  const hasOther = other.length === values.length;
  const data = hasOther ? [at, values, other] : [at, values];
  const begin = () => {
    const chart = new window.uPlot(options(place.clientWidth, values, times, hasOther, names), data, place);
    drawn.add(chart);
  };
  let width = 0;
  const watching = new ResizeObserver(() => {
    if (!place.clientWidth || place.clientWidth === width) return;
    const chart = [...drawn].find((each) => each.root.parentElement === place);
    if (chart) chart.setSize({ width: place.clientWidth, height: HEIGHT });
    else begin();
    width = place.clientWidth;
  });
  watching.observe(place);
  return place;
}

/** Draw the charts again, in the present colours; forget those that are gone. */
export function redrawPlots() {
  for (const chart of drawn) {
    if (chart.root.isConnected) chart.redraw(false);
    else {
      drawn.delete(chart);
      chart.destroy();
    }
  }
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawPlots);

function options(width, values, times, hasOther, names) {
  const known = values.filter((value) => value !== null);
  const rises = (known.at(-1) ?? 0) >= 0;
  const ink = () => colour(rises ? "--up" : "--down");
  const lines = [
    { label: names[0], stroke: ink, fill: () => colour(rises ? "--up" : "--down", 0.14), width: 2, points: { show: known.length < 3 }, value: said },
    { label: names[1], stroke: () => colour("--accent"), dash: [5, 3], width: 2, points: { show: false }, value: said },
  ];
  const axis = { stroke: () => colour("--quiet"), font: FONT, grid: { stroke: () => colour("--edge"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    cursor: { drag: { setScale: false, x: false, y: false }, y: false },
    legend: { live: true },
    scales: { x: { time: true, range: () => [times.begin, times.end] }, y: { range: (_chart, low, high) => around(low, high) } },
    series: [{ label: t("time"), value: (_chart, at) => (at === null ? "–" : moment(at)) }, ...lines.slice(0, hasOther ? 2 : 1)],
    axes: [
      { ...axis, space: 70, size: 26, gap: 6, values: (chart, ticks, _axis, _space, step) => ticks.map((at) => (chart.valToPos(at, "x") < BESIDE ? "" : tick(at, step))) },
      { ...axis, side: 1, size: 64, values: (_chart, ticks) => ticks.map((value) => (value === 0 ? "0" : money(value))) },
    ],
    hooks: { drawClear: [(chart) => shade(chart, values, times)], draw: [zero] },
  };
}

function said(_chart, value) {
  return value === null || value === undefined ? "–" : money(value);
}

/** Return the scale: zero is always on it. */
function around(low, high) {
  const [from, to] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  const margin = (to - from || 1) * 0.08;
  return [from < 0 ? from - margin : -margin / 4, to > 0 ? to + margin : margin / 4];
}

function tick(at, step) {
  const date = new Date(at * 1000);
  if (step >= 86400 || (date.getHours() === 0 && date.getMinutes() === 0)) return date.toLocaleDateString(language(), { month: "short", day: "numeric" });
  return date.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** Shade what nobody looked at, and outages, below the lines. */
function shade(chart, values, times) {
  const { ctx, bbox } = chart;
  const half = (times.end - times.begin) / (values.length - 1) / 2;
  const at = (index) => times.begin + index * half * 2;
  const band = (from, to, fill) => {
    const [left, right] = [from, to].map((moment) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(moment, "x", true))));
    ctx.fillStyle = fill;
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
  };
  const [grey, red] = [colour("--gap"), colour("--ill", 0.2)];
  ctx.save();
  let first = null;
  [...values, 0].forEach((value, index) => {
    if (value === null) first ??= index;
    else if (first !== null) {
      band(at(first) - half, at(index) - half, grey);
      first = null;
    }
  });
  for (const outage of times.outages) band(outage.at, Math.min(outage.until, times.end), red);
  ctx.restore();
}

function zero(chart) {
  const { ctx, bbox } = chart;
  const y = Math.round(chart.valToPos(0, "y", true));
  ctx.save();
  ctx.strokeStyle = colour("--quiet", 0.7);
  ctx.setLineDash([2, 3]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** Return a colour of the style sheet as a canvas understands it: the sheet names one for light and one for dark. */
function colour(name, opacity = 1) {
  probe.style.color = `var(${name})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

const probe = el("span", { hidden: true });
document.body.append(probe);
