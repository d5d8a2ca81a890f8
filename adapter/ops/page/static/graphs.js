// Four small bar graphs of the last 15 minutes, each with the figure of the last minute.
import { $, el, put, replace, svg } from "./dom.js";
import { t } from "./i18n.js";
import { clock, lasting, now, short } from "./words.js";

const SLOT = 10; // seconds of a bar
const SLOTS = 90;
const [WIDTH, HEIGHT] = [SLOTS * 3, 44];

// Rows are [start, events, append ms, its maximum, results, result ms, its maximum].
const TILES = [
  { name: t("Events"), unit: t("a minute"), rate: true, at: 1 },
  { name: t("Sends"), unit: t("a minute"), rate: true, at: 4 },
  { name: t("Poll to Redis"), at: 2, most: 3, by: 1 },
  { name: t("Request to result"), at: 5, most: 6, by: 4 },
];
const drawn = new Map();

export function tiles(trend) {
  const newest = Math.floor(now() / 1000 / SLOT) * SLOT;
  const slots = new Map(trend.map((row) => [row[0], row]));
  const rows = Array.from({ length: SLOTS }, (_, i) => slots.get(newest - (SLOTS - 1 - i) * SLOT));
  for (const tile of TILES) draw(tile, rows, newest);
}

function draw(tile, rows, newest) {
  const parts = drawn.get(tile) || make(tile);
  const values = rows.map((row) => (row ? row[tile.at] * (tile.rate ? 60 / SLOT : 1) : 0));
  const mosts = tile.most ? rows.map((row) => (row ? row[tile.most] : 0)) : values;
  const top = Math.max(tile.rate ? 6 : 0.001, ...mosts);
  const bars = [];
  for (const [i, most] of mosts.entries()) {
    if (!most) continue;
    if (tile.most) bars.push(bar(i, most / top, "most"));
    bars.push(bar(i, values[i] / top, "mean"));
  }
  replace(parts.bars, ...bars);
  const written = tile.rate ? short : lasting;
  put(parts.figure, written(lastMinute(tile, rows)));
  put(parts.top, mosts.some(Boolean) ? t("up to {most}", { most: written(Math.max(...mosts)) }) : "");
  parts.look = (i) => {
    const when = clock((newest - (SLOTS - 1 - i) * SLOT) * 1000);
    const text = `${when}: ${written(values[i])}`;
    return tile.rate ? `${text} ${tile.unit}` : t("{text}, at most {most}", { text, most: written(mosts[i]) });
  };
}

/** Return the sum of the last minute for a rate, the mean of the newest slots for a time. */
function lastMinute(tile, rows) {
  const six = rows.slice(-60 / SLOT).filter(Boolean);
  if (tile.rate) return six.reduce((sum, row) => sum + row[tile.at], 0);
  const counted = rows.filter((row) => row && row[tile.by]);
  const recent = counted.slice(-6);
  return recent.length ? recent.reduce((sum, row) => sum + row[tile.at], 0) / recent.length : 0;
}

function bar(i, share, kind) {
  const height = Math.max(1.5, share * (HEIGHT - 2));
  return svg("rect", { class: kind, x: i * 3, y: HEIGHT - height, width: 2, height, rx: 0.8 });
}

function make(tile) {
  const parts = { bars: svg("g"), figure: el("b"), top: el("small"), look: () => "" };
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": t("{name}, last 15 minutes", { name: tile.name }) }, svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }), parts.bars);
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const i = Math.min(SLOTS - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * SLOTS)));
    put(parts.top, parts.look(i));
  });
  $("tiles").append(el("figure", { class: "card" }, el("figcaption", {}, el("span", {}, tile.name), el("span", { class: "figure" }, parts.figure, tile.unit && ` ${tile.unit}`)), chart, parts.top));
  drawn.set(tile, parts);
  return parts;
}
