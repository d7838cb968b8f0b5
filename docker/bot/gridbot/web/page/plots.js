// Show a bot's price, P&L and position over one time axis: gaps as gaps, grid levels, fills and the price now.

import { across, BY_SIGN, canChart, Chart, colour, figures } from "./chart.js";

const MOST_ROWS = 100;
const MISSING = "The chart's library is not in this bot's image: `make page` gets it, `manager build` puts it in. The same figures, newest first:";

/** Return how many decimal places tell values of this span apart. */
export function decimalsFor(span) {
  return Math.min(Math.max(2 - Math.floor(Math.log10(span || 1)), 0), 8);
}

export class Plots {
  /** `box` holds three places: for the price, the P&L, the position; `instead` is shown where there is no uPlot. `words`:
   * how a time, P&L and a position are said.
   */
  constructor(box, instead, words) {
    Object.assign(this, { box, instead, words, now: null });
    const look = { time: { label: "Time", said: words.time }, span: () => [this.now.data.from, this.now.data.to], shades: () => this.shades(), together: "plots" };
    const price = (value) => value.toFixed(this.now.digits);
    const signed = (label, said, stepped) => ({ ...look, lines: [{ label, colour: BY_SIGN, said, fill: 0.18, stepped }], amount: brief, hasTimes: false });
    const looks = [
      {
        ...look,
        lines: [
          { label: "Price", colour: "--accent", said: price },
          { label: "lowest", colour: "--accent", said: price, width: 0 },
          { label: "highest", colour: "--accent", said: price, width: 0 },
        ],
        between: [3, 2],
        hasZero: false,
        amount: price,
        range: () => [this.now.low, this.now.high],
        ticks: () => this.ticks(),
        under: (plot) => this.levels(plot),
        over: (plot) => this.fillsAndPrice(plot),
      },
      signed("P&L", words.pnl, false),
      signed("Position", words.position, true),
    ];
    this.charts = canChart() ? [...box.querySelectorAll(".plot")].map((place, index) => new Chart(place, looks[index])) : [];
  }

  /** Draw the history that the bot told, up to its present price. */
  show(data, status) {
    this.now = { data, ...priceScale(data, status) };
    const times = rows(data, Number(status.price));
    this.box.classList.toggle("none", data.points.length === 0);
    if (!canChart()) return this.tabulate(times);
    const column = (index) => times.map((row) => row[index]);
    for (const [chart, columns] of [[0, [1, 2, 3]], [1, [4]], [2, [5]]]) this.charts[chart].show([column(0), ...columns.map(column)]);
  }

  tabulate(times) {
    const { time, pnl, position } = this.words;
    const price = (value) => value.toFixed(this.now.digits);
    const said = times.slice(-MOST_ROWS).reverse().map((row) => (row[1] === null ? [time(row[0]), "no data", "", "", "", ""] : [time(row[0]), ...row.slice(1, 4).map(price), pnl(row[4]), position(row[5])]));
    const scrolled = this.instead.lastChild?.scrollTop ?? 0;
    this.instead.replaceChildren(...figures(MISSING, ["Time", "Price", "Lowest", "Highest", "P&L", "Position"], said));
    this.instead.lastChild.scrollTop = scrolled;
    this.box.hidden = true;
  }

  shades() {
    return (this.now.data.gaps ?? []).map(([from, to]) => [from, Math.min(to, this.now.data.to), "--quiet", 0.13]);
  }

  /** Return the prices beside the scale: the grid's levels, as many as there is room for, none below the price now. */
  ticks() {
    const { low, high, lines, price } = this.now;
    if (lines.length === 0) return [0.1, 0.5, 0.9].map((share) => low + (high - low) * share);
    const apart = ((high - low) * 16) / (Number(getComputedStyle(this.box.firstElementChild).getPropertyValue("--height")) || 300);
    const found = [];
    for (const level of lines) {
      if (Math.abs(level - price) >= apart && !(level - found.at(-1) < apart)) found.push(level);
    }
    return found;
  }

  levels(plot) {
    for (const level of this.now.lines) {
      const side = this.now.sides.get(level);
      if (side) across(plot, level, colour(side === "buy" ? "--up" : "--down", 0.38));
      else across(plot, level, colour("--edge"), [2, 4]);
    }
  }

  fillsAndPrice(plot) {
    const { data, low, high, price, digits } = this.now;
    const [{ ctx, bbox }, ratio] = [plot, window.devicePixelRatio];
    const r = ratio * Math.min(5, Math.max(3.2, (bbox.width / ratio / (data.fills.length + 1)) * 1.6));
    ctx.save();
    for (const [time, side, at] of data.fills) {
      if (at < low || at > high) continue;
      const [x, y, up] = [plot.valToPos(time, "x", true), plot.valToPos(at, "y", true), side === "buy" ? r : -r];
      ctx.beginPath();
      ctx.moveTo(x - r, y + up);
      ctx.lineTo(x + r, y + up);
      ctx.lineTo(x, y - up);
      ctx.closePath();
      ctx.fillStyle = colour(side === "buy" ? "--up" : "--down");
      ctx.strokeStyle = colour("--card");
      ctx.fill();
      ctx.stroke();
    }
    across(plot, price, colour("--accent", 0.7), [3, 3]);
    const [left, y] = [bbox.left + bbox.width + 2 * ratio, plot.valToPos(price, "y", true)];
    ctx.fillStyle = colour("--accent");
    ctx.beginPath();
    ctx.roundRect(left, y - 9 * ratio, 62 * ratio, 18 * ratio, 4 * ratio);
    ctx.fill();
    ctx.fillStyle = colour("--card");
    ctx.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillText(price.toFixed(digits), left + 5 * ratio, y + ratio);
    ctx.restore();
  }
}

/** Return the points with one of nulls in each gap, and the last one carried on to the present where it still holds. */
function rows(data, price) {
  const gaps = new Map(data.gaps ?? []);
  const found = data.points.flatMap((point) => (gaps.has(point[0]) ? [point, [(point[0] + Math.min(gaps.get(point[0]), data.to)) / 2, null, null, null, null, null]] : [point]));
  const last = found.at(-1);
  return last && last[1] !== null ? [...found, [data.to, price, price, price, last[4], last[5]]] : found;
}

function priceScale(data, status) {
  const price = Number(status.price);
  const levels = (status.grid?.levels ?? []).map(Number);
  const sides = new Map(status.open_orders.map((order) => [Number(order.price), order.side]));
  let low = Math.min(...data.points.map((point) => point[2]), price);
  let high = Math.max(...data.points.map((point) => point[3]), price);
  const [below, above] = [levels.filter((level) => level < low).slice(-2), levels.filter((level) => level > high).slice(0, 2)];
  [low, high] = [Math.min(low, ...below), Math.max(high, ...above)];
  const margin = (high - low) * 0.04 || high * 0.001;
  [low, high] = [low - margin, high + margin];
  const lines = [...new Set([...levels, ...sides.keys()])].filter((level) => level >= low && level <= high).sort((a, b) => a - b);
  return { price, low, high, sides, lines, digits: decimalsFor((high - low) / 4) };
}

/** Return a value beside the scale, in few digits. */
function brief(value) {
  return String(Number(value.toPrecision(4)));
}
