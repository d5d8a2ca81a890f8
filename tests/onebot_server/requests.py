"""Friend and group requests that wait for an answer, by flag."""

from dataclasses import dataclass

# Requests that are remembered; the oldest go first.
MAX_REQUESTS = 10_000


@dataclass
class Pending:
    """One request; `answer` is empty, approved or denied."""

    kind: str  # friend or group
    sub_type: str  # "", add or invite
    user: int
    group: int
    comment: str
    flag: str
    answer: str = ""
    words: str = ""


class Requests:
    """Makes flags in the manner of each dialect and remembers requests."""

    def __init__(self) -> None:
        self._by_flag: dict[str, Pending] = {}
        self._count = 0

    def add(
        self, kind: str, sub_type: str, user: int, group: int, comment: str, *, flags: str, now: int
    ) -> Pending:
        """Remember a new request; `flags` names the dialect."""
        self._count += 1
        flag = _flag(flags, kind, group, now, self._count)
        pending = self._by_flag[flag] = Pending(kind, sub_type, user, group, comment, flag)
        while len(self._by_flag) > MAX_REQUESTS:
            del self._by_flag[next(iter(self._by_flag))]
        return pending

    def find(self, kind: str, flag: str) -> Pending | None:
        """Return the request of that kind and flag if it still waits."""
        found = self._by_flag.get(flag)
        return found if found is not None and found.kind == kind and not found.answer else None

    def all(self) -> list[Pending]:
        """Return all requests, oldest first."""
        return list(self._by_flag.values())


def _flag(flags: str, kind: str, group: int, now: int, count: int) -> str:
    if flags == "llbot":
        return f"{group}|{now * 1000 + count}|1|0" if kind == "group" else f"u_{count:022}|{now}"
    if flags == "napcat" and kind == "friend":
        return str(now + count)
    return str(now * 1_000_000 + count)
