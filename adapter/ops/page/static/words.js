// Times, numbers and kinds of events as text. What a state means comes from the adapter.
import { t } from "./i18n.js";

let skew = 0; // the adapter's clock minus this browser's, in milliseconds

export function setClock(seconds) {
  skew = seconds * 1000 - Date.now();
}

export const now = () => Date.now() + skew;

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return t("{s} s", { s: whole });
  if (whole < 3600) return t("{m} min", { m: Math.floor(whole / 60) });
  if (whole < 86400) return t("{h} h {m} min", { h: Math.floor(whole / 3600), m: Math.floor((whole % 3600) / 60) });
  return t("{d} d {h} h", { d: Math.floor(whole / 86400), h: Math.floor((whole % 86400) / 3600) });
}

export function ago(time) {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "" : t("{span} ago", { span: span((now() - at) / 1000) });
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

/** Kinds of notices and requests, for the label of their row. */
const KINDS = {
  "notice.admin": () => t("admins"),
  "notice.card": () => t("card"),
  "notice.contacts": () => t("contacts"),
  "notice.essence": () => t("essence"),
  "notice.file": () => t("file"),
  "notice.friend": () => t("new friend"),
  "notice.member": () => t("members"),
  "notice.mute": () => t("mute"),
  "notice.poke": () => t("poke"),
  "notice.presence": () => t("presence"),
  "notice.reaction": () => t("reaction"),
  "notice.recall": () => t("recall"),
  "notice.shake": () => t("shake"),
  "notice.typing": () => t("typing"),
  "request.friend": () => t("friend request"),
  "request.group": () => t("group request"),
};

export function kindOf(type) {
  if (type.startsWith("session.")) return t("session");
  return KINDS[type]?.() ?? type;
}

const STATUSES = {
  sent: () => t("sent"),
  unknown: () => t("unknown"),
  failed: () => t("failed"),
  rejected: () => t("rejected"),
  expired: () => t("expired"),
};

/** How an account is seen. */
const PRESENCES = {
  online: () => t("online"),
  offline: () => t("offline"),
  away: () => t("away"),
  busy: () => t("busy"),
  hidden: () => t("hidden"),
  callme: () => t("ready to chat"),
  silent: () => t("do not disturb"),
};

export const presenceOf = (status) => PRESENCES[status]?.() ?? status;

export const statusOf = (status) => STATUSES[status]?.() ?? status;
