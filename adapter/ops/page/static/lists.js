// The lists beside the feed: facts of the connection, consumer groups, dead letters.
import { el, foreign, replace, $, put, toggle } from "./dom.js";
import { post } from "./net.js";
import { sure } from "./session.js";
import { ago, clock, entryTime, short, span } from "./words.js";

export function facts({ status, line, lengths }) {
  const online = status.state === "online";
  const rows = [
    ["Delivery", online && line],
    ["Since", status.since && `${clock(Date.parse(status.since))} (${span((Date.now() - Date.parse(status.since)) / 1000)})`],
    ["Last event", ago(status.last_event || "") || "none yet"],
    ["Last poll", ago(status.last_poll || "") || "none yet"],
    ["Newest event", status.inbound_seq && `seq ${status.inbound_seq}`],
    ["Requests waiting", status.outbound_pending === "" ? "unknown" : status.outbound_pending],
    ["Kept in Redis", lengths.inbound !== undefined && `${short(lengths.inbound)} in, ${short(lengths.outbound)} out`],
    ["Held by", status.holder?.split(":").slice(0, 2).join(", process ")],
  ];
  replace($("facts"), ...rows.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const LATE = 300; // seconds that the oldest pending entry may wait
const FAR_BEHIND = 1000; // unread entries

export function groups(rows) {
  if (!rows.length) {
    replace($("group-rows"), el("p", { class: "hint" }, "No worker has connected yet. Each application reads qq:inbound with its own group."));
    return;
  }
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...["Group", "Unread", "Pending", "Oldest"].map((name) => el("th", {}, name)))));
  const body = el("tbody");
  for (const row of rows) {
    const idle = row.consumers === 0 && (row.lag || row.pending);
    const late = row.oldest > LATE || row.lag > FAR_BEHIND;
    body.append(
      el(
        "tr",
        { class: late || idle ? "late" : "" },
        el("th", { scope: "row" }, foreign(row.name), el("small", {}, row.stream === "outbound" ? "sends" : workers(row.consumers))),
        el("td", {}, row.lag === null ? "?" : short(row.lag)),
        el("td", {}, short(row.pending)),
        el("td", {}, row.pending ? span(row.oldest) : "–"),
      ),
    );
  }
  table.append(body);
  replace($("group-rows"), table);
}

const workers = (count) => (count === 1 ? "1 worker" : `${count} workers`);

let last = "";

export function dead(letters, count) {
  toggle($("dead-count"), count > 0);
  put($("dead-count"), String(count));
  const key = letters.map((letter) => letter.entry).join();
  if (key === last && key) return;
  last = key;
  if (!letters.length) {
    replace($("dead-rows"), el("p", { class: "hint" }, "None. An entry that cannot be handled is kept here."));
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
      put(answer, done ? (action === "drop" ? "Dropped." : "Sent back to its stream.") : "It is gone already.");
    } catch (error) {
      put(answer, error.message);
    }
  };
  return el(
    "article",
    { "data-entry": one.entry },
    el("p", { class: "letter" }, el("b", {}, one.reason), el("time", {}, clock(entryTime(one.entry)))),
    one.detail && el("p", {}, foreign(one.detail)),
    el("p", { class: "hint" }, one.stream.split(":").pop(), one.group && ` · ${one.group}`, one.chat && " · ", one.chat && foreign(one.chat)),
    one.text && el("blockquote", {}, foreign(one.text)),
    el(
      "p",
      { class: "row" },
      el("button", { onclick: (event) => act(event.currentTarget, "redrive") }, "Try again"),
      el("button", { class: "quiet", "data-sure": "Really drop it?", onclick: (event) => act(event.currentTarget, "drop") }, "Drop"),
      answer,
    ),
  );
}
