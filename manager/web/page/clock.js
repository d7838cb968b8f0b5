// Tell what time it is for the server: every age is by its clock, and a reader's may be wrong.

/** A `Date` header has whole seconds and may be two seconds old: a smaller difference is none. */
const SAME_MS = 3000;

let difference = 0;

/** Note the `Date` header of an answer that has just come. */
export function noteDate(header) {
  const found = Date.parse(header ?? "") + 1000 - Date.now();
  if (!Number.isNaN(found)) difference = Math.abs(found) < SAME_MS ? 0 : found;
}

/** Return the server's time in Unix seconds. */
export function now() {
  return (Date.now() + difference) / 1000;
}

/** Longer than the minute for which a browser lets the timers of a page in the background wait. */
const SLEPT_MS = 300000;
let seenAt = Date.now();
let wokenAt = 0;

function look() {
  const at = Date.now();
  if (at - seenAt > SLEPT_MS) wokenAt = at;
  seenAt = at;
}

setInterval(look, 1000);

/** Return whether this device has slept, or the page has stood still, since that moment of its own clock. */
export function hasSleptSince(moment) {
  look();
  return wokenAt > moment;
}
