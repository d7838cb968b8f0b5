// How long something has lasted, on the bot's page and on the fleet's, in the steps that the manager's commands have.

const ENGLISH = { s: "{count} s", min: "{count} min", h: "{count} h {minutes} min", d: "{count} d" };

/** Return `42 s`, `7 min`, `3 h 05 min`, `12 d`, where a column of `manager ps` has `42s`, `7m`, `3h05m`, `12d`. */
export function ageIn(seconds, words = ENGLISH) {
  const s = Math.max(0, Math.floor(seconds)), minutes = Math.floor(s / 60);
  const [unit, count] = s < 60 ? ["s", s] : minutes < 60 ? ["min", minutes] : minutes < 48 * 60 ? ["h", Math.floor(minutes / 60)] : ["d", Math.floor(minutes / 1440)];
  return words[unit].replace("{count}", count).replace("{minutes}", String(minutes % 60).padStart(2, "0"));
}
