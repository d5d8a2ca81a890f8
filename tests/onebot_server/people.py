"""What people do: they write, alone or in floods, and do all that becomes a notice or a request."""

import re
from typing import Any

from .addresses import Chat, parse_chat
from .connection import MAX_BACKLOG, Frame
from .errors import ControlError
from .events import message_event
from .hub import Hub, dumps
from .messages import Said
from .notices import Notices, make
from .pictures import content_of
from .record import Emission
from .segments import Segment, parse, plain, text
from .state import State

# Copies of one event that a control request may ask for.
MAX_COPIES = 100
MAX_FLOOD = 1_000_000
# Marks in the template of a flood: the id, the sequence number, and the number in the text.
_ID = -900_000_001
_SEQ = -900_000_002
_NUMBER = "<#>"
_MARKS = re.compile(f"({_ID}|{_SEQ}|{_NUMBER})")
# Ids of a flood are this and the sequence number; they fit into 31 bits.
_FIRST_ID = 1_000_000_000
_FILES = frozenset({"image", "record", "video", "file"})


class People:
    """Everybody but the account."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub
        self._notices = Notices(state)

    def say(
        self,
        chat: str,
        text: str | None = None,
        *,
        message: Any = None,
        sender: int | None = None,
        time: int | None = None,
        sub_type: str = "",
        copies: int = 1,
    ) -> dict[str, Any]:
        """Write a message; return its event with the number `n` of its entry in the record.

        `message` is a CQ string, a segment or an array; a picture in it is given as `base64` or as a
        `size` in bytes. By default the friend, or the first other member, writes.
        """
        place = parse_chat(chat)
        who = self._speaker(place) if sender is None else sender
        self._check(place, who)
        moment = self._state.now() if time is None else time
        said = self._state.messages.add(place, who, self._segments(text, message), moment, sub_type)
        said.is_hidden = not self._state.switches.is_online
        said.is_unseen = self._state.switches.is_down
        if place.kind == "temp" and place.group:
            self._state.remember_temp(place.peer, place.group)
        return self._report(said, copies)

    def _report(self, said: Said, copies: int) -> dict[str, Any]:
        event, emission = message_event(self._state, said), None
        is_own = said.sender == self._state.account
        is_empty = not said.segments and self._state.traits.name == "llbot"
        if not is_empty and (not is_own or self._state.options.report_self):
            emission = self._emit(event, copies)
        return {"n": emission.n if emission else 0, "text": plain(said.segments), "event": event}

    def _emit(self, event: dict[str, Any], copies: int) -> Emission:
        if not 1 <= copies <= MAX_COPIES:
            raise ControlError(f"copies is 1 to {MAX_COPIES}, not {copies}")
        first = self._hub.emit(event)
        for _ in range(copies - 1):
            self._hub.emit(event)
        return first

    def _speaker(self, chat: Chat) -> int:
        if chat.is_private:
            return chat.peer
        members = self._state.world.group(chat.peer).members
        found = next((qq for qq in members if qq != self._state.account), None)
        if found is None:
            raise ControlError(f"group {chat.peer} has no other member")
        return found

    def _check(self, chat: Chat, who: int) -> None:
        world = self._state.world
        if chat.kind == "friend" and chat.peer not in world.friends:
            raise ControlError(f"no friend {chat.peer}; known: {', '.join(map(str, world.friends))}")
        if chat.kind == "group" and who not in world.group(chat.peer).members:
            raise ControlError(f"{who} is no member of group {chat.peer}")

    def _segments(self, line: str | None, message: Any) -> list[Segment]:
        if (line is None) == (message is None):
            raise ControlError("either text or message is wanted")
        if line is not None:
            return [text(line)] if line else []
        return [self._stored(segment) for segment in parse(message)]

    def _stored(self, segment: Segment) -> Segment:
        data = segment["data"]
        if segment["type"] not in _FILES or not data.keys() & {"base64", "size"}:
            return segment
        stored = self._state.pictures.store(content_of(data))
        kept = {name: value for name, value in data.items() if name not in {"base64", "size"}}
        return {**segment, "data": {**kept, "file": stored.name, "file_size": len(stored.content)}}

    def notice(self, kind: str, *, copies: int = 1, **fields: Any) -> dict[str, Any]:
        """Do what becomes a notice or a request of that kind; return the event and its number."""
        event = make(self._notices, kind, fields)
        return {"n": self._emit(event, copies).n, "event": event}

    def event(self, fields: dict[str, Any], *, copies: int = 1) -> dict[str, Any]:
        """Emit any event; time, self_id and post_type have defaults."""
        event = {**self._state.stamped(str(fields.get("post_type", "notice"))), **fields}
        return {"n": self._emit(event, copies).n, "event": event}

    def flood(self, chat: str, count: int, text: str = "x", sender: int | None = None) -> dict[str, Any]:
        """Write many messages as fast as the sockets take them; they are no part of the history.

        The texts are `text`, a blank and a number from 0. All frames are made before the first is sent.
        """
        place = parse_chat(chat)
        who = self._speaker(place) if sender is None else sender
        self._check(place, who)
        if not 1 <= count <= MAX_FLOOD:
            raise ControlError(f"count is 1 to {MAX_FLOOD}, not {count}")
        frames = [Frame(one, len(one)) for one in self._flood_texts(place, who, text, count)]
        summary = {"post_type": "flood", "chat": chat, "sender": who, "count": count, "text": text}
        emission = self._hub.emit_many(summary, frames)
        return {"n": emission.n, "count": count, "bytes": emission.size}

    def _flood_texts(self, chat: Chat, who: int, line: str, count: int) -> list[str]:
        """Return frames that differ in id, sequence number and text, made from one template."""
        seqs = self._state.messages.skip(chat, count)
        said = Said(chat, who, [text(line + _NUMBER)], self._state.now(), _SEQ, _ID)
        parts = _MARKS.split(dumps(message_event(self._state, said)))
        size = sum(map(len, parts))
        if size * count > MAX_BACKLOG // 2:
            raise ControlError(f"{count} messages of {size} bytes are more than {MAX_BACKLOG // 2} bytes")
        texts = []
        for n, seq in enumerate(seqs):
            values = {str(_ID): str(_FIRST_ID + seq), str(_SEQ): str(seq), _NUMBER: f" {n}"}
            texts.append("".join(values.get(part, part) for part in parts))
        return texts
