// Draw values over time by uPlot: the one chart of this page and of the fleet's, which loads this file too. Colours are
// those of the page's style sheet. Unknown is a gap, never a line. Without uPlot the same figures are a table.

const FONT = "12px system-ui, sans-serif";
const SCALE_WIDTH = 64;
const SCALE_GAP = 7; // px beside its texts
const BESIDE = 24; // px of room that the first time needs

/** A line's colour: a gain's above zero, a loss's below. */
export const BY_SIGN = "by sign";

/** The charts that are on the page: they are drawn again when colours change. */
const drawn = new Set();

/** Return whether uPlot was got: `make page` gets it. */
export function canChart() {
  return typeof window.uPlot === "function";
}

/** A chart in a place: as wide as it is, and as high as its style's `--height`.
 *
 * `look`: `time` {label, said}, `lines` [{label, colour, said, fill?, dash?, width?, stepped?}], `amount` of a value beside
 * the scale, `span` of the times; where wanted `hasTimes`, `hasZero`, `between` (the numbers of two lines), `range`,
 * `ticks`, `shades` ([from, to, colour, opacity]), `under` and `over` (drawn below and above the lines), and `together`,
 * a name that charts share whose pointers move together.
 */
export class Chart {
  constructor(place, look, data = null) {
    Object.assign(this, { place, look, data, plot: null, size: "" });
    new ResizeObserver(() => this.fit()).observe(place);
  }

  /** Show columns: the times, then each line's values. */
  show(data) {
    this.data = data;
    if (this.plot) this.plot.setData(data);
    else this.fit();
  }

  fit() {
    const size = { width: this.place.clientWidth, height: Number(getComputedStyle(this.place).getPropertyValue("--height")) };
    const known = `${size.width} ${size.height}`;
    if (!this.data || !size.width || known === this.size) return;
    this.size = known;
    if (this.plot) this.plot.setSize(size);
    else {
      forget();
      this.plot = new window.uPlot(options(this.look, size), this.data, this.place);
      drawn.add(this.plot);
    }
  }
}

/** Draw the charts again, in the present colours. */
export function redraw() {
  forget();
  for (const plot of drawn) plot.redraw(false);
}

/** End the charts that are gone: each listens to the window. */
function forget() {
  for (const plot of drawn) {
    if (plot.root.isConnected) continue;
    drawn.delete(plot);
    plot.destroy();
  }
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

/** Return what is shown in place of a chart without uPlot: why, and the figures, row by row. */
export function figures(why, heads, rows) {
  const head = node("tr", ...heads.map((text) => node("th", text)));
  const body = rows.map((cells) => node("tr", ...cells.map((text) => node("td", text))));
  const box = node("div", node("table", node("thead", head), node("tbody", ...body)));
  box.className = "figures";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", heads.join(", "));
  const said = node("p", why);
  said.className = "why";
  return [said, box];
}

function node(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

function options(look, size) {
  const axis = { stroke: () => colour("--quiet"), font: FONT, grid: { stroke: () => colour("--edge"), width: 1 }, ticks: { show: false } };
  return {
    ...size,
    padding: [8, 8, look.hasTimes === false ? 8 : 0, 8],
    cursor: { drag: { setScale: false, x: false, y: false }, y: false, sync: look.together ? { key: look.together } : undefined },
    legend: { live: true, markers: { stroke: (_plot, number) => markColour(look.lines[number - 1]), fill: () => "transparent" } },
    scales: { x: { time: true, range: () => look.span() }, y: { range: (_plot, low, high) => (look.range ?? aroundZero)(low, high) } },
    series: [{ label: look.time.label, value: (_plot, at) => (at === null ? "–" : look.time.said(at)) }, ...look.lines.map(series)],
    bands: look.between ? [{ series: look.between, fill: () => colour("--accent", 0.12) }] : [],
    axes: [
      { ...axis, show: look.hasTimes !== false, space: 70, size: 26, gap: 6, values: (plot, ticks, _axis, _space, step) => ticks.map((at) => (plot.valToPos(at, "x") < BESIDE ? "" : tick(at, step))) },
      { ...axis, side: 1, size: scaleWidth, ...ticksOf(look), values: (_plot, ticks) => ticks.map(look.amount) },
    ],
    hooks: {
      drawClear: [(plot) => shade(plot, look.shades?.() ?? []), ...(look.under ? [(plot) => clipped(plot, look.under)] : [])],
      draw: [...(look.hasZero === false ? [] : [zero]), ...(look.over ? [look.over] : [])],
    },
  };
}

/** Return how wide the scale is: its longest text is not cut, and few are longer than what it has at least. */
function scaleWidth(plot, texts, index) {
  if (!texts?.length) return SCALE_WIDTH;
  plot.ctx.font = plot.axes[index].font[0];
  const widths = texts.map((text) => plot.ctx.measureText(text ?? "").width / window.devicePixelRatio);
  return Math.max(SCALE_WIDTH, Math.ceil(Math.max(...widths)) + SCALE_GAP);
}

function ticksOf(look) {
  return look.ticks ? { splits: (_plot, _axis, low, high) => look.ticks(low, high), grid: { show: false } } : {};
}

function markColour(line) {
  return colour(line.colour === BY_SIGN ? "--quiet" : line.colour);
}

function series(line) {
  const ink = line.colour === BY_SIGN ? bySign(1) : () => colour(line.colour);
  const fill = line.colour === BY_SIGN ? bySign(line.fill) : () => colour(line.colour, line.fill);
  return {
    label: line.label,
    stroke: line.width === 0 ? null : ink,
    fill: line.fill ? fill : null,
    dash: line.dash,
    width: line.width || 2,
    paths: line.stepped ? window.uPlot.paths.stepped({ align: 1 }) : undefined,
    points: { show: false, size: 5, stroke: ink, fill: ink, filter: line.width === 0 ? () => null : lone },
    value: (_plot, value) => (value === null || value === undefined ? "–" : line.said(value)),
  };
}

/** Return which values have none beside them: no line leads there, so each is a point. */
function lone(plot, number) {
  const values = plot.data[number];
  const found = values.flatMap((value, index) => (value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null ? [index] : []));
  return found.length ? found : null;
}

function bySign(opacity) {
  return (plot) => {
    const { ctx, bbox } = plot;
    const paint = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
    const share = Math.min(1, Math.max(0, (plot.valToPos(0, "y", true) - bbox.top) / bbox.height));
    const flat = Math.min(0.5, 1.5 / bbox.height); // as wide as a line: one along zero is neither gain nor loss
    const [above, below] = [Math.max(0, share - flat), Math.min(1, share + flat)];
    const stops = [[0, "--up"], [above, "--up"], [above, "--quiet"], [below, "--quiet"], [below, "--down"], [1, "--down"]];
    for (const [at, name] of stops) paint.addColorStop(at, colour(name, opacity));
    return paint;
  };
}

/** Return the scale: zero is always on it. */
function aroundZero(low, high) {
  const [from, to] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  const margin = (to - from || 1) * 0.08;
  return [from < 0 ? from - margin : -margin / 4, to > 0 ? to + margin : margin / 4];
}

function tick(at, step) {
  const [date, language] = [new Date(at * 1000), document.documentElement.lang];
  if (step >= 86400 || (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0)) return date.toLocaleDateString(language, { month: "short", day: "numeric" });
  const seconds = step < 60 ? { second: "2-digit" } : {};
  return date.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...seconds });
}

/** Shade times below the lines: what nobody looked at, and outages. */
function shade(plot, shades) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const [from, to, name, opacity] of shades) {
    const [left, right] = [from, to].map((at) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(at, "x", true))));
    ctx.fillStyle = colour(name, opacity);
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
  }
  ctx.restore();
}

function clipped(plot, draw) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(plot);
  ctx.restore();
}

function zero(plot) {
  across(plot, 0, colour("--quiet", 0.7), [2, 3]);
}

/** Draw a line from edge to edge at a value. */
export function across(plot, value, ink, dash = []) {
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** Return a colour of the style sheet as a canvas understands it: the sheet names one for light and one for dark. */
export function colour(name, opacity = 1) {
  probe.style.color = `var(${name})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

const probe = node("span");
probe.hidden = true;
document.body.append(probe);
