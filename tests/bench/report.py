"""The table on the terminal, the JSON file, and the plot of the ratios."""

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.bench.figures import Row

HEAD = ("", "figure", "median", "spread", "beside", "median", "ratio", "spread", "wanted")


def environment(server: str, quick: bool) -> dict[str, Any]:  # noqa: FBT001 – a fact like the others
    """Where and when: ratios travel, absolute figures do not."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "server": server,
        "load": [round(each, 2) for each in os.getloadavg()],
        "quick": quick,
    }


def table(rows: Sequence[Row]) -> str:
    """All rows in columns."""
    lines = [HEAD]
    last = ""
    for row in rows:
        lines.append(_line(row, "" if row.bench == last else row.bench))
        last = row.bench
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    shown = [
        "  ".join(
            cell.ljust(width) if column in {0, 1, 4} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([shown[0], "─" * max(map(len, shown)), *shown[1:]])


def _line(row: Row, name: str) -> tuple[str, ...]:
    wanted = ""
    if row.want is not None:
        wanted = f"{row.want} {({True: '✓', False: '✗', None: '?'})[row.met]}"
    if not row.values:
        return (name, row.what, "–", "", row.note, "", "", "", wanted)
    others = row.others
    return (
        name,
        row.what,
        f"{number(row.value)} {row.unit}",
        _spread(row.values),
        row.beside or row.note,
        number(row.other) if others else "",
        f"{row.ratio:.2f}×" if others else "",
        _spread(row.ratios, plain=True) if others else "",
        wanted,
    )


def _spread(values: Sequence[float], *, plain: bool = False) -> str:
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    return f"{low:.2f}–{high:.2f}" if plain else f"{number(low)}–{number(high)}"


def number(value: float) -> str:
    """Three or four digits that matter."""
    if math.isnan(value):
        return "–"
    if abs(value) >= 10_000:
        return f"{value / 1000:.1f} k"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def save(folder: Path, rows: Sequence[Row], facts: dict[str, Any]) -> tuple[Path, Path]:
    """Write both files; returns where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    kept, drawn = folder / "bench.json", folder / "bench.svg"
    whole = {"environment": facts, "rows": [row.dump() for row in rows]}
    kept.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    drawn.write_text(plot(rows, facts), encoding="utf-8")
    return kept, drawn


# --- the plot ------------------------------------------------------------------------------------

LINE, LEFT, WIDE = 20, 420, 420
LOW, HIGH = 0.1, 100.0


def plot(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """Each ratio as a bar from 1 ×, on a logarithmic scale; a tick where it should at least or at most be."""
    shown = [row for row in rows if row.ratios]
    tall = LINE * len(shown) + 80
    place = f"{facts['server']}, Python {facts['python']}, {facts['cores']} cores, {facts['date'][:10]}"
    size = f'width="{LEFT + WIDE + 80}" height="{tall}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-size="14">qqbus beside the floor and its peers – {escape(place)}</text>',
    ]
    for value in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        x = _x(value)
        parts += [
            f'<line x1="{x:.1f}" y1="34" x2="{x:.1f}" y2="{tall - 30}" stroke="{"#888" if value == 1 else "#e4e4e4"}"/>',
            f'<text x="{x:.1f}" y="{tall - 14}" text-anchor="middle" fill="#666">{value:g}×</text>',
        ]
    for index, row in enumerate(shown):
        parts += _bar(row, 40 + LINE * index)
    return "\n".join([*parts, "</svg>\n"])


def _bar(row: Row, y: int) -> list[str]:
    one, end = _x(1), _x(row.ratio)
    colour = {True: "#2a9d5c", False: "#c8403a", None: "#6b8cae"}[row.met]
    low, high, middle = _x(min(row.ratios)), _x(max(row.ratios)), y + LINE // 2 - 2
    label = f"{row.bench}: {row.what} / {row.beside}"
    parts = [
        f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{min(one, end):.1f}" y="{y}" width="{max(abs(end - one), 1):.1f}" height="{LINE - 6}" fill="{colour}"/>',
        f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="#222"/>',
        f'<text x="{max(one, end, high) + 6:.1f}" y="{y + 12}">{row.ratio:.2f}</text>',
    ]
    if row.want is not None:
        limit = row.want.least if math.isinf(row.want.most) else row.want.most
        x = _x(limit)
        parts.append(
            f'<line x1="{x:.1f}" y1="{y - 2}" x2="{x:.1f}" y2="{y + LINE - 4}" stroke="#d08700" stroke-width="2"/>'
        )
    return parts


def _x(ratio: float) -> float:
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + WIDE * share
