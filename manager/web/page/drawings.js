// Draw what a row has: a small line, and a price in its range. Unknown is a gap, never a line.

import { svg } from "./dom.js";

/** Return values as numbers; null stays null. */
export function numbers(values) {
  return values.map((value) => (value === null ? null : Number(value)));
}

/** Return the known stretches of evenly spaced values: lists of [index, value]. */
export function stretches(values) {
  const found = [];
  let open = null;
  values.forEach((value, index) => {
    if (value === null) open = null;
    else if (open === null) found.push((open = [[index, value]]));
    else open.push([index, value]);
  });
  return found;
}

function scale(values, height, margin) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(0, ...known);
  const high = Math.max(0, ...known);
  const span = high - low || 1;
  return (value) => margin + (1 - (value - low) / span) * (height - 2 * margin);
}

/** Return a small line for a row. */
export function sparkline(values, width = 96, height = 26) {
  const points = numbers(values);
  const known = points.filter((value) => value !== null);
  const picture = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (known.length < 2) return picture;
  const y = scale(points, height, 2);
  const x = (index) => (index / (points.length - 1)) * width;
  const sign = known.at(-1) > 0 ? "up" : known.at(-1) < 0 ? "down" : "flat";
  picture.append(svg("line", { class: "zero", x1: 0, x2: width, y1: y(0), y2: y(0) }));
  for (const stretch of stretches(points)) {
    const path = stretch.map(([index, value]) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    picture.append(svg("polyline", { class: `line ${sign}`, points: path }));
  }
  return picture;
}

/** Return a bar from the lower to the upper bound with the price on it. */
export function rangeBar(price, range, label) {
  const [low, high, now] = [range.lower, range.upper, price].map(Number);
  const share = (now - low) / (high - low);
  const isOut = share < 0 || share > 1;
  const x = 6 + Math.min(1.05, Math.max(-0.05, share)) * 88;
  return svg(
    "svg",
    { class: `range${isOut ? " out" : ""}`, viewBox: "0 0 100 16", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("rect", { class: "bar", x: 6, y: 5, width: 88, height: 6, rx: 3 }),
    svg("rect", { class: "mark", x: x - 1.2, y: 1, width: 2.4, height: 14, rx: 1 }),
  );
}
