// The page: follows the stream of the adapter and hands each part of the picture to the module that draws it.
import { contacts, searchContacts } from "./contacts.js";
import { $, put, toggle } from "./dom.js";
import { feed } from "./feed.js";
import { tiles } from "./graphs.js";
import { dead, facts, groups } from "./lists.js";
import { composer } from "./send.js";
import { menu, session } from "./session.js";
import { sentence, t, translatePage } from "./i18n.js";
import { setClock } from "./words.js";

const ROWS = ["events", "requests", "results"];
const picture = { status: {}, groups: [], dead: [], trend: [], session: {}, lengths: {}, bus: "", held: null, alarm: "", disk: "", failing: "", line: "", standby: false };
picture.summary = { level: "busy", headline: t("loading"), hint: "" };

function draw(changed) {
  const any = (...names) => !changed || names.some((name) => name in changed);
  if (any("status", "session", "held", "alarm", "disk", "failing", "summary")) session(picture);
  if (any("standby", "status")) standby(picture);
  if (any("status", "line", "lengths")) facts(picture);
  if (any("groups")) groups(picture.groups);
  if (any("dead")) dead(picture.dead, picture.lengths.dead ?? picture.dead.length);
  if (any("trend")) tiles(picture.trend);
  lost();
}

/** Say that this adapter waits for the other one to end. */
function standby({ standby: waits, status }) {
  toggle($("standby"), waits);
  put($("standby-words"), t("This adapter stands by"));
  const holder = status.holder?.split(":").slice(0, 2).join(", ");
  $("standby").title = t("The connection is held by {holder}. This adapter takes over by itself.", { holder });
}

let connected = false;

function lost() {
  document.body.classList.toggle("stale", !connected);
  put($("lost-words"), connected ? sentence(t(picture.bus)) : t("The adapter does not answer"));
  toggle($("lost"), !connected || Boolean(picture.bus));
}

function follow() {
  const source = new EventSource("/api/stream");
  source.addEventListener("all", (event) => {
    connected = true;
    const all = JSON.parse(event.data);
    const accountChanged = all.status?.account !== picture.status.account;
    Object.assign(picture, all);
    feed.reset(all);
    draw();
    if (accountChanged) searchContacts();
  });
  source.addEventListener("news", (event) => {
    connected = true;
    const news = JSON.parse(event.data);
    for (const [name, value] of Object.entries(news)) {
      if (name === "trend") grow(value);
      else if (!ROWS.includes(name)) picture[name] = value;
    }
    if (ROWS.some((name) => name in news) || news.skipped) feed.add(news);
    if ("contacts" in news || "session" in news || news.events?.some((view) => view.type === "notice.contacts")) searchContacts(true);
    draw(news);
  });
  source.addEventListener("clock", (event) => setClock(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    connected = false;
    lost();
    // The browser tries again by itself unless it was refused: then a reload leads to the login.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
}

/** Replace the rows of the graphs from the first new one on. */
function grow(rows) {
  if (!rows.length) return;
  picture.trend = picture.trend.filter((row) => row[0] < rows[0][0]).concat(rows);
}

function tabs() {
  for (const button of $("tabs").children) {
    button.addEventListener("click", () => {
      document.body.dataset.tab = button.dataset.tab;
      for (const other of $("tabs").children) other.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      feed.seen();
    });
  }
}

const THEMES = { auto: "◐", light: "☀", dark: "☾" };

function theme(next) {
  const names = Object.keys(THEMES);
  let chosen = localStorage.getItem("theme");
  if (!names.includes(chosen)) chosen = "auto";
  if (next) chosen = names[(names.indexOf(chosen) + 1) % names.length];
  localStorage.setItem("theme", chosen);
  document.documentElement.dataset.theme = chosen;
  put($("theme"), THEMES[chosen]);
}

translatePage();
theme(false);
$("theme").addEventListener("click", () => theme(true));
tabs();
menu();
composer();
contacts();
tiles([]);
follow();
setInterval(() => {
  session(picture);
  facts(picture);
}, 1000);
setInterval(() => tiles(picture.trend), 10000);
