// Draw P&L over time, of the fleet or of a bot: its line, zero, and grey where not observed.

import { BY_SIGN, canChart, Chart, figures } from "./chart.js";
import { numbers, stretches } from "./drawings.js";
import { el } from "./dom.js";
import { moment, money, t } from "./format.js";

/** Return the chart of evenly spaced values; without uPlot the same figures as a table.
 *
 * `other`: a second line on the same scale; `times`: {begin, end, outages}, which are shaded; `names`: of the lines.
 */
export function curve(values, other, times, names) {
  if (values.length < 2) return "";
  const hasOther = other.length === values.length;
  const columns = [values, ...(hasOther ? [other] : [])].map(numbers);
  const step = (times.end - times.begin) / (values.length - 1);
  const at = values.map((_value, index) => times.begin + index * step);
  const heads = names.slice(0, columns.length);
  if (!canChart()) return table(at, columns, heads);
  const place = el("div", { class: "plot", role: "img", "aria-label": names.join(", ") });
  const lines = [
    { label: names[0], colour: BY_SIGN, said: money, fill: 0.14 },
    { label: names[1], colour: "--accent", said: money, dash: [5, 3] },
  ];
  const look = {
    time: { label: t("time"), said: moment },
    lines: lines.slice(0, columns.length),
    span: () => [times.begin, times.end],
    amount: (value) => (value === 0 ? "0" : money(value)),
    shades: () => [...unknown(columns[0], times.begin, step), ...times.outages.map((each) => [each.at, Math.min(each.until, times.end), "--ill", 0.2])],
  };
  new Chart(place, look, [at, ...columns]);
  return place;
}

function unknown(values, begin, step) {
  const found = stretches(values.map((value) => (value === null ? 0 : null)));
  return found.map((stretch) => [begin + (stretch[0][0] - 0.5) * step, begin + (stretch.at(-1)[0] + 0.5) * step, "--gap", 1]);
}

function table(at, columns, names) {
  const rows = at.map((time, index) => [moment(time), ...columns.map((values) => money(values[index]))]);
  const why = t("The chart's library is missing, `make page` gets it. The same figures, newest first:");
  return el("div", { class: "instead" }, ...figures(why, [t("time"), ...names], rows.reverse()));
}
