// Times and numbers as text. What a state means comes from the adapter.

let skew = 0; // the adapter's clock minus this browser's, in milliseconds

export function setClock(seconds) {
  skew = seconds * 1000 - Date.now();
}

export const now = () => Date.now() + skew;

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function ago(time) {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "" : `${span((now() - at) / 1000)} ago`;
}

export function clock(milliseconds) {
  const when = new Date(milliseconds);
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const today = new Date(now()).toDateString() === when.toDateString();
  return today ? time : `${when.toLocaleDateString([], { month: "short", day: "numeric" })} ${time}`;
}

/** When an entry was added, in milliseconds since 1970. */
export const entryTime = (entry) => Number(entry.split("-")[0]);

export function short(number) {
  if (number >= 1e6) return `${(number / 1e6).toFixed(1)} M`;
  if (number >= 1e4) return `${Math.round(number / 1e3)} k`;
  if (number >= 100 || Number.isInteger(number)) return String(Math.round(number));
  return number.toFixed(number < 10 ? 1 : 0);
}

/** A length of time, given in milliseconds. */
export function lasting(milliseconds) {
  if (!milliseconds) return "–";
  if (milliseconds < 1000) return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  return milliseconds < 60000 ? `${(milliseconds / 1000).toFixed(1)} s` : span(milliseconds / 1000);
}

export function bytes(length) {
  return length < 1000 ? `${length} characters` : `${short(length)} characters`;
}
