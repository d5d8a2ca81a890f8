// The lists beside the feed: facts of the connection, consumer groups, dead letters.
import { el, foreign, replace, $, put, toggle } from "./dom.js";
import { t } from "./i18n.js";
import { post } from "./net.js";
import { sure } from "./session.js";
import { ago, clock, entryTime, short, span } from "./words.js";

export function facts({ status, line, lengths }) {
  const online = status.state === "online";
  const rows = [
    [t("Delivery"), online && t(line)],
    [t("Since"), status.since && `${clock(Date.parse(status.since))} (${span((Date.now() - Date.parse(status.since)) / 1000)})`],
    [t("Last event"), ago(status.last_event || "") || t("none yet")],
    [t("Last poll"), ago(status.last_poll || "") || t("none yet")],
    [t("Newest event"), status.inbound_seq && t("no. {seq}", { seq: status.inbound_seq })],
    [t("Requests waiting"), status.outbound_pending === "" ? t("unknown") : status.outbound_pending],
    [
      t("Kept in Redis"),
      lengths.inbound !== undefined && t("{in} in, {out} out", { in: short(lengths.inbound), out: short(lengths.outbound) }),
    ],
    [t("Clock of Redis"), status.clock_offset && t("{seconds} s ahead of the adapter: let both follow a time server", { seconds: status.clock_offset })],
    [t("Held by"), status.holder?.split(":").slice(0, 2).join(", ")],
  ];
  replace($("facts"), ...rows.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const LATE = 300; // seconds that the oldest pending entry may wait
const FAR_BEHIND = 1000; // unread entries

export function groups(rows) {
  if (!rows.length) {
    replace($("group-rows"), el("p", { class: "hint" }, t("No worker has connected yet. Each application reads qq:inbound with its own group.")));
    return;
  }
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...[t("Group"), t("Unread"), t("Pending"), t("Oldest")].map((name) => el("th", {}, name)))));
  const body = el("tbody");
  for (const row of rows) {
    const idle = row.consumers === 0 && (row.lag || row.pending);
    const late = row.oldest > LATE || row.lag > FAR_BEHIND;
    body.append(
      el(
        "tr",
        { class: late || idle ? "late" : "" },
        el("th", { scope: "row" }, foreign(row.name), el("small", {}, row.stream === "outbound" ? t("sends") : workers(row))),
        el("td", {}, short(row.lag)),
        el("td", {}, short(row.pending)),
        el("td", {}, row.pending ? span(row.oldest) : "–"),
      ),
    );
  }
  table.append(body);
  replace($("group-rows"), table);
}

/** Count the workers that still ask for entries; those that have ended are named apart. */
function workers({ consumers, gone }) {
  const living = consumers === 1 ? t("1 worker") : t("{n} workers", { n: consumers });
  return gone ? t("{living}, {gone} gone", { living, gone }) : living;
}

let last = "";

export function dead(letters, count) {
  toggle($("dead-count"), count > 0);
  put($("dead-count"), String(count));
  const key = letters.map((letter) => letter.entry).join();
  if (key === last && key) return;
  last = key;
  if (!letters.length) {
    replace($("dead-rows"), el("p", { class: "hint" }, t("None. An entry that cannot be handled is kept here.")));
    return;
  }
  replace($("dead-rows"), ...letters.map(letter));
}

function letter(one) {
  const answer = el("span", { class: "hint" });
  const act = async (button, action) => {
    if (!sure(button)) return;
    try {
      const { done } = await post("/api/dead", { entry: one.entry, action });
      put(answer, done ? (action === "drop" ? t("Dropped.") : t("Sent back to its stream.")) : t("It is gone already."));
    } catch (error) {
      put(answer, error.message);
    }
  };
  return el(
    "article",
    { "data-entry": one.entry },
    el("p", { class: "letter" }, el("b", {}, one.reason), el("time", {}, clock(entryTime(one.entry)))),
    one.detail && el("p", {}, foreign(one.detail)),
    el("p", { class: "hint" }, one.stream.split(":").pop(), one.group && ` · ${one.group}`, one.by === "worker" && " · ", one.by === "worker" && t("written by a worker"), one.chat && " · ", one.chat && foreign(one.chat)),
    one.text && el("blockquote", {}, foreign(one.text)),
    el(
      "p",
      { class: "row" },
      el("button", { onclick: (event) => act(event.currentTarget, "redrive") }, t("Try again")),
      el("button", { class: "quiet", "data-sure": t("Really drop it?"), onclick: (event) => act(event.currentTarget, "drop") }, t("Drop")),
      answer,
    ),
  );
}
