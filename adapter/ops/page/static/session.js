// The session: its state, the code to scan with its countdown, the captcha, and the commands.
import { $, foreign, put, replace, toggle } from "./dom.js";
import { sentence, t } from "./i18n.js";
import { post } from "./net.js";
import { now } from "./words.js";

let shown = ""; // the entry whose picture is on the screen
let requested = 0; // when a new code was requested, in milliseconds since 1970

export function session({ status, session: change, held, alarm, disk, failing, summary }) {
  const { level: colour } = summary;
  const headline = sentence(t(summary.headline));
  const hint = t(summary.hint);
  const online = status.state === "online" && held !== false;
  $("pill").dataset.colour = colour;
  put($("pill-state"), headline);
  replace($("pill-who"), online && foreign(status.nick || ""), online && ` ${status.account}`);
  document.title = online && colour === "good" ? `qqbus – ${status.account}` : `qqbus – ${headline}`;
  toggle($("session"), colour !== "good" && Boolean(status.state || held !== null));
  $("session").dataset.colour = colour;
  put($("session-words"), headline);
  put($("session-todo"), hint);
  const services = failing && t("background services fail: {failing}", { failing });
  const detail = [disk, services, change.state === status.state && change.detail].filter(Boolean).join(" · ");
  put($("session-detail"), [detail, alarm && t("The alarm was raised.")].filter(Boolean).join(" · "));
  put($("version"), status.version ? `qqbus ${status.version} · epoch ${status.epoch || "?"}` : "");
  pause(status, held);
  code(status, change, held);
}

function code(status, change, held) {
  const pictured = held !== false && change.picture && change.state === status.state;
  const captcha = pictured && change.state === "captcha";
  const left = change.expires ? (Date.parse(change.expires) - now()) / 1000 : Infinity;
  const stale = left <= 0;
  toggle($("code"), Boolean(pictured));
  toggle($("captcha"), Boolean(captcha));
  $("code").classList.toggle("wide", Boolean(captcha));
  toggle($("code-over"), stale);
  toggle($("countdown"), Boolean(pictured) && Number.isFinite(left) && !stale);
  if (pictured) {
    if (shown !== change.entry) {
      shown = change.entry;
      $("code-picture").src = `/api/picture?entry=${encodeURIComponent(change.entry)}`;
      put($("session-answer"), "");
    }
    const whole = (Date.parse(change.expires) - Date.parse(change.time)) / 1000;
    $("countdown-bar").value = Math.min(1, Math.max(0, left / whole));
    put($("countdown-words"), t("good for {time}", { time: `${Math.floor(left / 60)}:${String(Math.floor(left % 60)).padStart(2, "0")}` }));
  } else if (shown) {
    shown = "";
    $("code-picture").removeAttribute("src");
  }
  const useful = ["offline", "kicked"].includes(status.state) || status.state === "qr";
  toggle($("session-login"), held !== false && useful);
  put($("session-login"), status.state === "qr" ? t("Show a new code") : t("Log in again"));
  $("session-login").disabled = Date.now() - requested < 3000;
}

function pause(status, held) {
  const paused = status.paused === "1";
  toggle($("hold"), held !== false && Boolean(status.state));
  put($("hold-sign"), paused ? "▶" : "❚❚");
  put($("hold-words"), paused ? t("Resume sends") : t("Pause sends"));
  $("hold").title = $("hold-words").textContent;
  $("hold").dataset.cmd = paused ? "resume" : "pause";
  $("hold").classList.toggle("on", paused);
}

async function command(cmd, more = {}) {
  try {
    await post("/api/control", { cmd, ...more });
    put($("session-answer"), cmd === "captcha" ? t("The answer was sent.") : t("The command was sent."));
  } catch (error) {
    put($("session-answer"), error.message);
  }
}

export function menu() {
  $("session-login").addEventListener("click", () => {
    requested = Date.now();
    $("session-login").disabled = true;
    command("login");
  });
  $("captcha").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("captcha-text").value.trim();
    if (text) command("captcha", { text });
    $("captcha-text").value = "";
  });
  for (const button of [$("hold"), ...document.querySelectorAll("#menu [data-cmd]")]) {
    button.addEventListener("click", () => {
      if (!sure(button)) return;
      command(button.dataset.cmd);
      $("menu").open = false;
    });
  }
  document.addEventListener("click", (event) => {
    if (!$("menu").contains(event.target)) $("menu").open = false;
  });
}

/** Return whether a button that cannot be undone was pressed twice. */
export function sure(button) {
  if (!button.dataset.sure || button.dataset.pressed) return true;
  const label = button.textContent;
  button.dataset.pressed = "1";
  put(button, button.dataset.sure);
  setTimeout(() => {
    delete button.dataset.pressed;
    put(button, label);
  }, 4000);
  return false;
}
