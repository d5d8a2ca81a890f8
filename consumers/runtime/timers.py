"""When timers tick: multiples of a span, or the times of a cron line. Pure."""

import itertools
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

# Seconds of the shortest span: a tick takes a few commands in Redis.
MIN_EVERY: Final = 0.1
# Minute, hour, day, month and day of the week.
_CRON_FIELDS: Final = 5
# Ticks that are counted one by one.
_MAX_COUNTED: Final = 1_000


class Timetable(Protocol):
    """The times of a timer, in seconds since 1970."""

    def next_after(self, moment: float) -> float:
        """Return the first tick after a moment."""

    def count(self, after: float, until: float) -> int:
        """Return how many ticks lie between two moments, the second one included; about 1,000 at most."""


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks at the multiples of `seconds` since 1970: the same ones in all processes."""

    seconds: float

    def next_after(self, moment: float) -> float:
        """Return the first tick after a moment."""
        return round((math.floor(moment / self.seconds + 1e-9) + 1) * self.seconds, 3)

    def count(self, after: float, until: float) -> int:
        """Return how many ticks lie between two moments, the second one included."""
        return max(0, math.floor(until / self.seconds + 1e-9) - math.floor(after / self.seconds + 1e-9))


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks at the times of a cron line in a time zone."""

    line: str
    zone: tzinfo

    def next_after(self, moment: float) -> float:
        """Return the first tick after a moment."""
        return next(self._ticks(moment))

    def count(self, after: float, until: float) -> int:
        """Return how many ticks lie between two moments, the second one included."""
        ticks = itertools.takewhile(lambda tick: tick <= until, self._ticks(after))
        return sum(1 for _ in itertools.islice(ticks, _MAX_COUNTED))

    def _ticks(self, moment: float) -> Iterator[float]:
        start = datetime.fromtimestamp(moment, self.zone)
        return (tick.timestamp() for tick in CronSim(self.line, start))


def cron(line: str, tz: str | tzinfo) -> Cron:
    """Read a cron line of five fields. Raises ValueError."""
    if isinstance(tz, str):
        try:
            zone: tzinfo = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(f"tz {tz!r} is no time zone such as 'Asia/Shanghai'") from exc
    elif isinstance(tz, tzinfo):
        zone = tz
    else:
        raise TypeError(f"tz is the name of a time zone, not {tz!r}")
    # Its library takes a sixth field for seconds, which other dialects have at another place.
    if not isinstance(line, str) or len(line.split()) != _CRON_FIELDS:
        raise ValueError(f"{line!r} is no cron line such as '0 9 * * 1-5': it has five fields")
    try:
        table = Cron(line, zone)
        table.next_after(0.0)
    except CronSimError as exc:
        raise ValueError(f"{line!r} is no cron line such as '0 9 * * 1-5': {exc}") from exc
    except StopIteration as exc:
        raise ValueError(f"{line!r} names a day that no calendar has") from exc
    return table


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a timer. `time` is when it was due; `missed` counts those before it that nothing ran."""

    name: str
    time: datetime
    id: str
    missed: int = 0
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Timer:
    """A handler and its timetable. `handler` takes the tick."""

    name: str
    table: Timetable
    handler: Callable[[Tick], Awaitable[Any]]

    def tick(self, application: str, moment: float, *, missed: int = 0, attempt: int = 1) -> Tick:
        """Return the tick of a moment; its id is the same in every process."""
        time = datetime.fromtimestamp(moment, UTC)
        stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Tick(self.name, time, f"{application}/{self.name}/{stamp}", missed, attempt)
