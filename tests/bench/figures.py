"""What a benchmark finds: figures measured side by side, their ratios, and whether they are what is wanted."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Want:
    """`least` and `most` hold for the ratio, or without something beside for the figure itself."""

    least: float = -math.inf
    most: float = math.inf

    def met(self, value: float) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        return f"≥ {self.least:g}" if math.isinf(self.most) else f"≤ {self.most:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table; `values` and `others` hold one figure for each repetition, in pairs."""

    bench: str
    what: str
    unit: str
    values: Sequence[float]
    beside: str = ""
    others: Sequence[float] = ()
    want: Want | None = None
    note: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.values) if self.values else math.nan

    @property
    def other(self) -> float:
        return statistics.median(self.others) if self.others else math.nan

    @property
    def ratios(self) -> list[float]:
        """Of each pair: what disturbed one half of a pair mostly disturbed the other one too."""
        if not self.others:
            return []
        return [one / other for one, other in zip(self.values, self.others, strict=True) if other]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios) if self.ratios else math.nan

    @property
    def met(self) -> bool | None:
        judged = self.ratio if self.others else self.value
        return None if self.want is None or math.isnan(judged) else self.want.met(judged)

    def dump(self) -> dict[str, Any]:
        """For the JSON file."""
        known: dict[str, Any] = {
            "bench": self.bench,
            "what": self.what,
            "unit": self.unit,
            "median": _finite(self.value),
            "values": [round(value, 6) for value in self.values],
        }
        if self.others:
            known |= {
                "beside": self.beside,
                "other_median": _finite(self.other),
                "others": [round(value, 6) for value in self.others],
                "ratio": _finite(self.ratio),
                "ratios": [round(value, 4) for value in self.ratios],
            }
        if self.want is not None:
            known |= {"wanted": str(self.want), "met": self.met}
        return known | ({"note": self.note} if self.note else {})


@dataclass
class Findings:
    """All rows of a run. `repeat` is how often everything is measured; `quick` makes little of it."""

    quick: bool = False
    rows: list[Row] = field(default_factory=list)

    @property
    def repeat(self) -> int:
        return 1 if self.quick else 5

    @property
    def turns(self) -> range:
        """The repetitions; number 0 warms up and does not count."""
        return range(1 if self.quick else 0, self.repeat + 1)

    def some(self, number: int) -> int:
        """So many, or a twentieth of it where quick."""
        return max(20, number // 20) if self.quick else number

    def add(self, bench: str, what: str, unit: str, values: Sequence[float], **more: Any) -> None:
        more["others"] = tuple(more.get("others", ()))
        self.rows.append(Row(bench, what, unit, tuple(values), **more))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan


def _finite(value: float) -> float | None:
    return None if math.isnan(value) or math.isinf(value) else round(value, 6)
