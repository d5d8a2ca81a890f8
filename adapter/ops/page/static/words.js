// Words for people: states and what to do about them, lengths of time, numbers.

let skew = 0; // the adapter's clock minus ours, in milliseconds

export function setClock(seconds) {
  skew = seconds * 1000 - Date.now();
}

export const now = () => Date.now() + skew;

/** [colour, headline, what to do next] of each state. */
const STATES = {
  starting: ["busy", "Connecting", "Wait a moment."],
  qr: ["act", "Scan this code with QQ", "Open QQ on the phone, tap +, then Scan, and confirm the login there."],
  scanned: ["act", "Confirm the login on the phone", "The code was scanned. QQ on the phone is asking whether to log in."],
  captcha: ["act", "Type what the picture says", "SmartQQ wants to know that a person is here."],
  online: ["good", "Online", ""],
  relinking: ["busy", "Connecting again", "Nothing to do: requests wait until it is back."],
  offline: ["bad", "Offline", "Log in again when you are ready to scan a code."],
  kicked: ["bad", "Logged in somewhere else", "Close WebQQ there. One more try is made by itself; after that, log in again here."],
  standby: ["busy", "Standing by", "Another adapter holds the connection. This one takes over by itself."],
  stopped: ["bad", "The adapter is stopped", "Start it with: qqbus run"],
};

const REASONS = {
  network: ["SmartQQ does not answer", "Nothing to do yet: it is tried again by itself."],
  "qr.unscanned": ["Nobody scanned the codes", "Ask for a new code when you have the phone at hand."],
  logout: ["Logged out", "It stays away until you log in again."],
  "login.refused": ["SmartQQ refuses the login", "Look at what it says, then try again."],
  "login.blocked": ["SmartQQ has blocked the login", "Too many logins from this address. Try again in ten minutes or later."],
  "kicked.again": ["Two clients fight over the account", "Close the other one, then log in again here."],
};

/** Online, and yet not: only a person can help. */
const DEAF = ["bad", "Online, but nothing arrives", "Opening the session again did not help. Look at QQ on the phone, then log out here (⋯) and in again."];

/** Nothing is lost that was taken, and nothing more is taken. */
const FULL = ["bad", "The disk is full", "Make room on the adapter's disk. SmartQQ is not asked for more until then, and forgets what waits too long."];

export function stateWords(status, session, held, alarm, disk) {
  const state = status.state || "";
  if (!state) return ["bad", "No adapter has run yet", "Start it with: qqbus run"];
  if (held === false && state !== "stopped") return ["bad", "The adapter is gone", "It ended without a word. Start it with: qqbus run"];
  if (disk && state !== "stopped") return FULL;
  if (state === "online" && alarm === "deaf") return DEAF;
  const [colour, headline, todo] = STATES[state] || ["busy", state, ""];
  const reason = state === "offline" || state === "kicked" ? REASONS[status.reason] : undefined;
  if (reason) return [status.reason === "network" ? "busy" : colour, ...reason];
  return [colour, headline, todo];
}

export const HEARING = {
  proven: "Messages arrive.",
  plausible: "Quiet, as usual at this hour.",
  suspicious: "Quieter than usual at this hour: the line is being checked.",
};

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

/** Milliseconds of an entry of a stream, by its id. */
export const entryTime = (entry) => Number(entry.split("-")[0]);

export function short(number) {
  if (number >= 1e6) return `${(number / 1e6).toFixed(1)} M`;
  if (number >= 1e4) return `${Math.round(number / 1e3)} k`;
  if (number >= 100 || Number.isInteger(number)) return String(Math.round(number));
  return number.toFixed(number < 10 ? 1 : 0);
}

/** A length of time in milliseconds, for reading. */
export function lasting(milliseconds) {
  if (!milliseconds) return "–";
  if (milliseconds < 1000) return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  return milliseconds < 60000 ? `${(milliseconds / 1000).toFixed(1)} s` : span(milliseconds / 1000);
}

export function bytes(length) {
  return length < 1000 ? `${length} characters` : `${short(length)} characters`;
}
