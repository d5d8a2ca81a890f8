"""The receiver: frames, breaks and proofs become events in order."""

import json

from adapter.events import Address, ChatKind, Gap, Message, Notice, SessionChange, SessionState
from adapter.networks.onebot.gaps import GapTracker
from adapter.networks.onebot.receiver import Broken, Frame, Proved, Receiver
from adapter.networks.onebot.recent_chats import RecentChats

GROUP = Address(ChatKind.GROUP, "30001")


def frame(time: int, received: float, **fields: object) -> Frame:
    event = {
        "post_type": "message",
        "message_type": "group",
        "group_id": 30001,
        "user_id": 10002,
        "time": time,
    }
    return Frame(json.dumps(event | fields).encode(), received)


def receiver(
    heard: float | None = None, *, keep_raw: bool = False
) -> tuple[Receiver, GapTracker, RecentChats]:
    tracker, chats = GapTracker(heard), RecentChats()
    return Receiver(tracker, chats, keep_raw=keep_raw), tracker, chats


def test_a_gap_stands_between_what_was_heard_before_and_after_it() -> None:
    one, _, _ = receiver()
    online = SessionChange(SessionState.ONLINE)
    items = [
        Proved(100.0),
        online,
        frame(110, 110.5),
        Broken("reset"),
        frame(119, 119.5),
        Proved(120.0),
        online,
    ]
    batch = one.decode([*items, frame(121, 121.5)])
    assert [type(event) for event in batch] == [
        *(Gap, SessionChange, Message, Message, Gap, SessionChange, Message),
    ]
    assert batch[4] == Gap(109.5, 120.0, "reset")


def test_a_former_process_leaves_the_begin_of_the_first_gap() -> None:
    one, tracker, _ = receiver(50.0)
    assert one.decode([frame(99, 99.5)]) != ()
    assert tracker.complete_until == 50.0
    assert one.decode([Proved(100.0)]) == (Gap(50.0, 100.0, "the adapter was not running"),)


def test_chats_and_members_are_remembered() -> None:
    one, _, chats = receiver(keep_raw=True)
    (message,) = one.decode([frame(10, 10.5)])
    assert isinstance(message, Message)
    assert message.raw is not None
    assert (chats.latest(0.0, 5), chats.has_member("30001", "10002")) == ((GROUP,), True)
    left = {"post_type": "notice", "notice_type": "group_decrease", "sub_type": "leave"}
    (notice,) = one.decode([frame(11, 11.5, **left)])
    assert isinstance(notice, Notice)
    assert not chats.has_member("30001", "10002")


def test_equal_pokes_of_a_second_get_numbers_that_all_adapters_agree_on() -> None:
    poke: dict[str, object] = {"post_type": "notice", "notice_type": "notify", "sub_type": "poke"}
    old, new = receiver()[0], receiver()[0]
    old.decode([Proved(100.0)])
    new.decode([Proved(120.0)])
    frames = [frame(122, 122.3, **poke), frame(122, 122.4, **poke), frame(123, 123.0, **poke)]
    numbers = [[event.ordinal for event in one.decode(frames)] for one in (old, new)]  # type: ignore[union-attr]
    assert numbers == [[0, 1, 0], [0, 1, 0]]
    # Just after the proof some of the second may have been missed: the numbers are of this connection alone.
    late = receiver()[0]
    late.decode([Proved(122.2)])
    event, _ = late.decode([frame(122, 122.3, **poke), frame(122, 122.4, **poke)])
    assert isinstance(event, Notice)
    assert event.ordinal == 122_200
    again = late.decode_again(frame(122, 122.3, **poke), 7)
    assert isinstance(again, Notice)
    assert again.ordinal == 7
