// Three plots over one time axis, drawn as SVG. Colours come from the style sheet's classes.

const SVG = "http://www.w3.org/2000/svg";
const RIGHT = 66, LEFT = 8, BOTTOM = 20, TOP = 10;

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function decimalsFor(span) {
  return Math.min(Math.max(2 - Math.floor(Math.log10(span || 1)), 0), 8);
}

// A drawing surface: the svg's size in pixels, a time scale and a value scale.
function surface(svg, from, to, low, high, bottom) {
  const { width, height } = svg.getBoundingClientRect();
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const inner = Math.max(width - LEFT - RIGHT, 10);
  const x = (time) => LEFT + ((time - from) / (to - from || 1)) * inner;
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (height - TOP - bottom);
  const add = (name, attributes, text) => svg.appendChild(node(name, attributes, text));
  return { width, height, inner, x, y, add, right: LEFT + inner, floor: height - bottom };
}

function timeAxis(s, from, to) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
  const wanted = (to - from) / Math.max(Math.floor(s.inner / 90), 2);
  const step = steps.find((candidate) => candidate >= wanted) ?? steps.at(-1);
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) {
    if (s.x(t) < LEFT + 16 || s.x(t) > s.right - 16) continue;
    s.add("text", { x: s.x(t), y: s.height - 5, "text-anchor": "middle" }, clock(t, step));
  }
  s.add("line", { class: "axis", x1: LEFT, x2: s.right, y1: s.floor, y2: s.floor });
}

function clock(time, step) {
  const date = new Date(time * 1000);
  if (step >= 86400) return date.toLocaleDateString([], { month: "short", day: "numeric" });
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (step < 60) parts.second = "2-digit";
  return date.toLocaleTimeString([], parts);
}

function path(points, x, y) {
  return points.map((point, i) => `${i ? "L" : "M"}${x(point).toFixed(1)},${y(point).toFixed(1)}`).join("");
}

// The points in stretches between the gaps: no line leads over a time of which nothing is known.
function stretches(data) {
  const ends = new Set((data.gaps ?? []).map((gap) => gap[0])), parts = [[]];
  for (const point of data.points) {
    parts.at(-1).push(point);
    if (ends.has(point[0])) parts.push([]);
  }
  return parts.filter((part) => part.length > 0);
}

// Whether the last point still holds at the right edge.
function isCurrent(data) {
  return !(data.gaps ?? []).some((gap) => gap[0] === data.points.at(-1)[0]);
}

function shade(s, data) {
  for (const [from, to] of data.gaps ?? []) {
    const x = s.x(from), width = Math.max(s.x(Math.min(to, data.to)) - x, 1);
    const rect = s.add("rect", { class: "gap", x, y: 0, width, height: s.floor });
    rect.append(node("title", {}, "no data: the bot did not run, or had no price"));
  }
}

function empty(svg, text) {
  const s = surface(svg, 0, 1, 0, 1, BOTTOM);
  s.add("text", { class: "empty", x: s.width / 2, y: s.height / 2 }, text);
}

export function drawPrice(svg, data, levels, orders, price) {
  if (!data || data.points.length === 0) return empty(svg, "no prices yet");
  const lows = data.points.map((p) => p[2]), highs = data.points.map((p) => p[3]);
  let low = Math.min(...lows, price), high = Math.max(...highs, price);
  const below = levels.filter((level) => level < low).slice(-2), above = levels.filter((level) => level > high).slice(0, 2);
  low = Math.min(low, ...below);
  high = Math.max(high, ...above);
  const margin = (high - low) * 0.04 || high * 0.001;
  low -= margin;
  high += margin;
  const s = surface(svg, data.from, data.to, low, high, BOTTOM), digits = decimalsFor((high - low) / 4);
  timeAxis(s, data.from, data.to);
  shade(s, data);

  const sides = new Map(orders.map((order) => [Number(order.price), order.side]));
  const nowY = s.y(price);
  let labelled = Infinity;
  const lines = new Set([...levels, ...sides.keys()].filter((level) => level >= low && level <= high));
  for (const level of [...lines].sort((a, b) => a - b)) {
    const y = s.y(level);
    s.add("line", { class: `level ${sides.get(level) ?? ""}`, x1: LEFT, x2: s.right, y1: y, y2: y });
    if (labelled - y < 16 || Math.abs(y - nowY) < 15) continue;
    s.add("text", { x: s.right + 7, y: y + 4 }, level.toFixed(digits));
    labelled = y;
  }
  if (lines.size === 0) {
    for (const value of [0.1, 0.5, 0.9].map((share) => low + (high - low) * share)) {
      s.add("text", { x: s.right + 7, y: s.y(value) + 4 }, value.toFixed(digits));
    }
  }

  const x = (p) => s.x(p[0]);
  const parts = stretches(data);
  const band = parts.map((part) => `${path(part, x, (p) => s.y(p[3]))}${path([...part].reverse(), x, (p) => s.y(p[2])).replace("M", "L")}Z`);
  s.add("path", { class: "range", d: band.join("") });
  if (isCurrent(data)) parts.push([...parts.pop(), [data.to, price]]);
  s.add("path", { class: "line", d: parts.map((part) => path(part, x, (p) => s.y(p[1]))).join("") });
  const r = Math.min(5, Math.max(3.2, s.inner / (data.fills.length + 1) * 1.6));
  for (const [time, side, at] of data.fills) {
    if (at < low || at > high) continue;
    const cx = s.x(time), cy = s.y(at);
    const d = side === "buy" ? `M${cx - r},${cy + r}L${cx + r},${cy + r}L${cx},${cy - r}Z` : `M${cx - r},${cy - r}L${cx + r},${cy - r}L${cx},${cy + r}Z`;
    s.add("path", { class: `fill ${side}`, d });
  }
  s.add("line", { class: "now-line", x1: LEFT, x2: s.right, y1: nowY, y2: nowY });
  s.add("rect", { class: "now", x: s.right + 3, y: nowY - 9, width: RIGHT - 6, height: 18, rx: 4 });
  s.add("text", { class: "now-text", x: s.right + 7, y: nowY + 4 }, price.toFixed(digits));
}

// A value around zero: P&L as a line, position as steps. `column` is its place in a point.
export function drawSigned(svg, data, column, stepped) {
  if (!data || data.points.length === 0) return empty(svg, "nothing yet");
  const values = data.points.map((p) => p[column]);
  let low = Math.min(...values, 0), high = Math.max(...values, 0);
  if (low === high) [low, high] = [-1, 1];
  const digits = decimalsFor(high - low), margin = (high - low) * 0.08;
  const s = surface(svg, data.from, data.to, low - margin, high + margin, 6);
  shade(s, data);
  const zero = s.y(0), x = (p) => s.x(p[0]), y = (p) => s.y(p[column]);
  const steps = (part) => part.map((p, i) => (i ? `H${x(p).toFixed(1)}V${y(p).toFixed(1)}` : `M${x(p).toFixed(1)},${y(p).toFixed(1)}`)).join("");
  const parts = stretches(data);
  const lines = parts.map((part, i) => `${stepped ? steps(part) : path(part, x, y)}${i === parts.length - 1 && isCurrent(data) ? `H${s.right}` : ""}`);
  const line = lines.join(""), id = svg.parentElement.id;
  const area = lines.map((drawn, i) => `${drawn}V${zero}H${x(parts[i][0]).toFixed(1)}Z`).join("");
  // The same area twice, clipped above and below zero, so that gain and loss have their own colours.
  for (const [name, top, height] of [["up", 0, zero], ["down", zero, s.height - zero]]) {
    const clip = s.add("clipPath", { id: `${id}-${name}` });
    clip.append(node("rect", { x: 0, y: top, width: s.width, height: Math.max(height, 0) }));
    s.add("path", { class: name, d: area, "clip-path": `url(#${id}-${name})` });
    s.add("path", { class: `line stroke-${name}`, d: line, "clip-path": `url(#${id}-${name})` });
  }
  s.add("line", { class: "zero", x1: LEFT, x2: s.right, y1: zero, y2: zero });
  const labels = [high, low, 0].filter((value, i, all) => all.indexOf(value) === i);
  const drawn = [];
  for (const value of labels) {
    const at = s.y(value) + 4;
    if (drawn.some((other) => Math.abs(other - at) < 13)) continue;
    drawn.push(at);
    s.add("text", { x: s.right + 7, y: at }, value === 0 ? "0" : value.toFixed(digits));
  }
}

// A vertical line with a small label under the pointer, in all plots at once.
export function crosshair(svgs, point, labelOf) {
  for (const svg of svgs) for (const old of svg.querySelectorAll(".hover")) old.remove();
  if (!point) return;
  svgs.forEach((svg, i) => {
    const { width, height } = svg.getBoundingClientRect(), group = node("g", { class: "hover" });
    group.append(node("line", { class: "cross", x1: point.x, x2: point.x, y1: 0, y2: height - (i ? 6 : BOTTOM) }));
    const text = labelOf(i), wide = text.length * 6.3 + 14;
    const left = Math.min(Math.max(point.x - wide / 2, 2), width - wide - 2);
    group.append(node("rect", { class: "tip", x: left, y: 2, width: wide, height: 19, rx: 5 }));
    group.append(node("text", { class: "tip-text", x: left + 7, y: 15 }, text));
    svg.append(group);
  });
}

export function timeAt(svg, clientX, data) {
  const box = svg.getBoundingClientRect();
  const share = (clientX - box.left - LEFT) / Math.max(box.width - LEFT - RIGHT, 10);
  if (share < 0 || share > 1) return null;
  return { x: clientX - box.left, time: data.from + share * (data.to - data.from) };
}
