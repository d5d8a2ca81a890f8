"""What a standby hears: on disk, in order, for as long as the holder may lack it."""

import json
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import anyio
import pytest

from adapter.bus.spool.log import Spool
from adapter.content import Text
from adapter.events import Gap, Message, Notice, UpstreamEvent
from adapter.networks.onebot.gaps import GapTracker, Heard
from adapter.networks.onebot.receiver import Broken, Frame, Item, Proved, Receiver
from adapter.networks.onebot.recent_chats import RecentChats
from adapter.networks.onebot.standby import StandbyLog
from adapter.networks.onebot.upstream import OneBotUpstream
from tests.onebot_server import OneBotServer
from tests.support.helpers import wait_until


def said(text: str, at: float) -> Frame:
    event = {
        "post_type": "message",
        "message_type": "group",
        "group_id": 30001,
        "user_id": 10002,
        "time": int(at),
        "message": [{"type": "text", "data": {"text": text}}],
    }
    return Frame(json.dumps(event).encode(), at)


def poke(at: float) -> Frame:
    event = {"post_type": "notice", "notice_type": "notify", "sub_type": "poke", "time": int(at)}
    return Frame(json.dumps(event | {"user_id": 10002, "target_id": 20001}).encode(), at)


@pytest.mark.anyio
async def test_what_waits_to_be_published_is_not_heard_yet(tmp_path: Path) -> None:
    passed = 0.0
    async with OneBotServer("napcat") as server:
        with Spool(tmp_path / "standby") as spool:
            async with OneBotUpstream(
                server.url, "", tmp_path, kept=spool, keep_seconds=45.0, wall=lambda: time.time() + passed
            ) as upstream:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(upstream.stand_by)
                    await upstream.connected()
                    server.say("friend:10001", "heard while standing by")
                    await wait_until(lambda: _kept(tmp_path, b"heard while standing by"), "it is kept", 30.0)
                    tasks.cancel_scope.cancel()
                passed = 20.0
                async with aclosing(upstream.events()) as batches:
                    async for batch in batches:
                        heard = upstream.coverage()
                        assert heard is not None
                        # The batch is yielded, and not stored before the next one is asked for.
                        assert min(heard.complete_seconds, heard.connected_seconds) >= 19.0
                        if any(isinstance(event, Message) for event in batch):
                            break
                    await anext(batches)
                    heard = upstream.coverage()
                    assert heard is not None
                    assert heard.connected_seconds == 0.0


def _kept(folder: Path, words: bytes) -> bool:
    return any(words in one.read_bytes() for one in (folder / "standby").glob("*.spool"))


class Standby:
    """A standby log with its receiver."""

    def __init__(self, spool: Spool) -> None:
        self.receiver = Receiver(GapTracker(None), RecentChats(), keep_raw=False)
        self.log = StandbyLog(spool, 45.0)

    def hear(self, *items: Item, now: float = 0.0) -> None:
        self.log.keep("20001", self.receiver.decode_items(items), now)

    def take_over(self, heard: float | None) -> list[UpstreamEvent]:
        found: list[UpstreamEvent] = []
        while (batch := self.log.peek()) is not None:
            assert batch.account == "20001"
            found += batch.events(self.receiver, heard and Heard(heard, heard))
            self.log.drop()
        return found

    def texts(self, heard: float | None = None) -> list[str]:
        """Return what was said, and the kinds of other events."""
        return [_short(event) for event in self.take_over(heard)]


def _short(event: UpstreamEvent) -> str:
    if isinstance(event, Message):
        return "".join(one.text for one in event.segments if isinstance(one, Text))
    return f"{event.kind} {event.ordinal}" if isinstance(event, Notice) else type(event).__name__


@contextmanager
def standby(folder: Path, limit: int = 1_000_000) -> Iterator[Standby]:
    with Spool(folder / "standby", limit) as spool:
        yield Standby(spool)


def test_what_was_heard_comes_out_in_order_after_a_restart(tmp_path: Path) -> None:
    with standby(tmp_path) as one:
        one.hear(Proved(100.0), said("a", 101.0), poke(103.0), poke(103.1))
        one.hear(Broken("reset"), Proved(106.0), said("b", 107.0))
    with standby(tmp_path) as one:
        # A poke that the holder has heard may be numbered otherwise: it is left out.
        assert one.texts(103.05) == ["a", "poke 1", "Gap", "b"]
        assert one.texts() == []


def test_gaps_of_a_standby_count_where_the_holder_heard_nothing_either(tmp_path: Path) -> None:
    items = (Proved(100.0), said("a", 101.0), Broken("reset"), Proved(110.0))
    for heard, gaps in (
        # One frame leaves a second uncertain.
        (None, [Gap(100.0, 110.0, "reset")]),
        (90.0, [Gap(90.0, 100.0, "the adapter was not running"), Gap(100.0, 110.0, "reset")]),
        (105.0, [Gap(105.0, 110.0, "reset")]),
        (111.0, []),
    ):
        with standby(tmp_path) as one:
            one.hear(*items)
            assert [event for event in one.take_over(heard) if isinstance(event, Gap)] == gaps


def test_old_batches_go_once_the_holder_has_heard_them(tmp_path: Path) -> None:
    with standby(tmp_path) as one:
        one.hear(Proved(100.0), said("a", 101.0))
        one.hear(said("b", 120.0))
        one.hear(said("c", 150.0))
        one.log.trim(160.0, Heard(100.0, 100.0))  # the holder is deaf since 100
        assert one.log.missing(Heard(100.0, 100.0)) is None
        one.log.trim(160.0, Heard(125.0, 125.0))
        one.log.trim(170.0, Heard(125.0, 125.0))
        assert one.log.missing(Heard(125.0, 125.0)) is None
        assert one.texts(125.0) == ["c"]


def test_what_had_no_room_lies_in_a_gap(tmp_path: Path) -> None:
    with standby(tmp_path, limit=1_000) as one:
        one.hear(Proved(100.0), said("a" * 300, 101.0))
        one.hear(said("b" * 300, 102.0))
        assert one.log.missing(Heard(100.5, 100.5)) == Gap(
            100.5, 101.0, "the standby had no room for what it heard"
        )
        one.hear(said("c" * 3_000, 103.0), now=103.5)
        assert one.texts() == []
        gap = one.log.missing(Heard(100.5, 100.5))
        assert gap is not None
        assert (gap.since, gap.until) == (100.5, 103.5)
