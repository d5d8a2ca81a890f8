"""Sender: carries parts out, each at most once where the API allows to say so.

A part answers an anchor if there is one (see anchor_book.py). Its anchor and msg_seq are kept before the
first byte leaves, so that a repeat is recognised: the API answers 40054005, and the part has arrived. On a
first attempt that code means that another part had the same number: the next one is taken.

After the reply window the API refuses the anchor. Then exactly one more request without it follows; if that
is refused, too, the part has failed. The API decides about the window, not a clock of this host.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

import anyio

from adapter.errors import TransportError
from adapter.events import Address, ChatKind, Outcome, Part, Recall, Status
from adapter.networks.official.anchor_book import AnchorBook
from adapter.networks.official.client.api import Api, chat_path
from adapter.networks.official.client.errors import AccessRefusedError
from adapter.networks.official.client.http import AnswerTimeoutError
from adapter.networks.official.limits import Limits
from adapter.networks.official.pacing import ProactivePacer
from adapter.networks.official.protocol.anchors import Attempt
from adapter.networks.official.protocol.encoding import message_body, part_file, read_part, upload_body
from adapter.networks.official.protocol.keys import sequence_of
from adapter.networks.official.protocol.return_codes import Answer, outcome_of, sent_without_id
from adapter.networks.official.protocol.values import Object, parse_text

# Numbers that are tried for a part whose number another part has.
_MAX_CLASHES: Final = 5
# Requests of one part: the first, one after a pause, one without the anchor and one after a pause again.
_MAX_REQUESTS: Final = _MAX_CLASHES + 4
# Digits of an id of the bus; an openid has 32 characters.
_BUS_DIGITS: Final = 20


@dataclass
class _Delivery:
    """The delivery of one part."""

    to: Address
    body: dict[str, object]
    attempt: Attempt
    may_send: Callable[[], bool]
    # An earlier attempt may have arrived.
    is_repeat: bool
    has_paused: bool = False
    # What the API said to the anchor, once it has refused it.
    refused: str = ""


class MessageSender:
    """Sends parts. Never raises for a refusal: a refusal is an Outcome.

    `on_gateway_missing` opens the connection with the gateway again: the network does not see it.
    """

    def __init__(
        self,
        api: Api,
        book: AnchorBook,
        pacer: ProactivePacer,
        limits: Limits,
        on_gateway_missing: Callable[[], None],
    ) -> None:
        self._api = api
        self._book = book
        self._pacer = pacer
        self._limits = limits
        self._on_gateway_missing = on_gateway_missing

    def is_due(self, to: Address, answers: str) -> bool:
        """Return whether a message may leave now: one that answers nothing is paced."""
        return self._book.choose(to, answers) is not None or self._pacer.delay(to) <= 0

    async def send(
        self, to: Address, part: Part, answers: str, may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Send one part. None: nothing has left, because it may not or because there is no connection."""
        if not is_openid(to):
            return Outcome(Status.FAILED, "target.unknown", f"{to.kind} was not met by this bot")
        content = read_part(part.content)
        try:
            uploaded = await self._upload(to, content, may_send)
            if not isinstance(uploaded, str):
                return uploaded
            body = message_body(content, is_group=to.kind is ChatKind.GROUP, file_info=uploaded)
            attempt, is_repeat = self._attempt(to, part, answers)
            return await self._deliver(_Delivery(to, body, attempt, may_send, is_repeat))
        except AccessRefusedError as exc:
            return Outcome(Status.FAILED, "session.rejected", str(exc))

    def _attempt(self, to: Address, part: Part, answers: str) -> tuple[Attempt, bool]:
        """Return how to send a part, and whether it may have been sent like that before."""
        if (known := self._book.attempt_of(part.message_id)) is not None:
            return known, True
        anchor = self._book.choose(to, answers)
        seq = sequence_of(part.message_id)
        if anchor is None:
            return Attempt(part.message_id, "", is_event=False, seq=seq), False
        return Attempt(part.message_id, anchor.name, anchor.is_event, seq), False

    async def _upload(
        self, to: Address, content: Object, may_send: Callable[[], bool]
    ) -> str | Outcome | None:
        """Return the `file_info` of a part's file, "" for text; else the outcome of the part."""
        file = part_file(content)
        if file is None:
            return ""
        seconds = self._limits.upload_seconds
        try:
            answer = await self._api.call(
                "upload",
                "POST",
                f"{chat_path(to)}/files",
                upload_body(file),
                seconds=seconds,
                may_send=may_send,
            )
        except TransportError as exc:
            # An upload alone is no message: the chat has seen nothing.
            await anyio.sleep(self._limits.repeat_seconds)
            return Outcome(Status.FAILED, "upstream.denied", str(exc)) if exc.may_have_sent else None
        if answer is None:
            return None
        info = parse_text(answer.object.get("file_info"))
        if answer.is_done and info:
            return info
        outcome = outcome_of(answer)
        code = outcome.code if outcome.status is Status.FAILED else "upstream.denied"
        return Outcome(Status.FAILED, code, f"upload: {answer.words}")

    async def _deliver(self, delivery: _Delivery) -> Outcome | None:
        for _ in range(_MAX_REQUESTS):
            answer = await self._post(delivery)
            if not isinstance(answer, Answer):
                return answer
            outcome = sent_without_id(outcome_of(answer))
            if outcome.status is not Status.FAILED:
                return outcome
            if answer.is_duplicate and delivery.is_repeat:
                return Outcome(Status.SENT, "ok", answer.words)
            if not await self._prepare_repeat(delivery, answer):
                return _refusal(delivery, outcome)
        return outcome

    async def _prepare_repeat(self, delivery: _Delivery, answer: Answer) -> bool:
        """Change what is sent by what the API refuses; returns whether to send it again."""
        attempt = delivery.attempt
        if answer.is_duplicate and attempt.name:
            delivery.attempt = replace(attempt, seq=attempt.seq + 1)
            return True
        if answer.is_anchor_refused and attempt.name:
            self._book.strike(attempt.name)
            delivery.refused, delivery.has_paused = answer.words, True
            delivery.attempt = replace(attempt, name="", is_event=False)
            return True
        if answer.is_transient and not delivery.has_paused:
            delivery.has_paused = True
            if answer.is_gateway_missing:
                self._on_gateway_missing()
            await anyio.sleep(self._limits.repeat_seconds)
            return True
        return False

    async def _post(self, delivery: _Delivery) -> Answer | Outcome | None:
        """Send once. Returns None if nothing has left, an Outcome if it is not known what became of it."""
        to, attempt = delivery.to, delivery.attempt
        if not attempt.name:
            await anyio.sleep(self._pacer.reserve(to))
        self._book.record(attempt)
        path, body = f"{chat_path(to)}/messages", delivery.body | _anchor_fields(attempt)
        try:
            answer = await self._api.call("send", "POST", path, body, may_send=delivery.may_send)
        except TransportError as exc:
            if exc.may_have_sent:
                return outcome_of_error(exc)
            await anyio.sleep(self._limits.repeat_seconds)
            answer = None
        if answer is None and not delivery.is_repeat:
            self._book.forget(attempt.part)
        return answer

    async def recall(self, operation: Recall, may_send: Callable[[], bool]) -> Outcome | None:
        """Take back a message of the bot. None: nothing has left."""
        chat, message_id = operation.chat, quote(operation.message_id, safe="")
        if chat is None or not is_openid(chat):
            return Outcome(Status.FAILED, "target.unknown", "the chat was not met by this bot")
        try:
            answer = await self._api.call(
                "recall", "DELETE", f"{chat_path(chat)}/messages/{message_id}", may_send=may_send
            )
        except AccessRefusedError as exc:
            return Outcome(Status.FAILED, "session.rejected", str(exc))
        except TransportError as exc:
            return outcome_of_error(exc) if exc.may_have_sent else None
        return None if answer is None else outcome_of(answer)


def is_openid(address: Address) -> bool:
    """Return whether an address is one of this network: what it never met is a number of the bus."""
    known = address.kind in {ChatKind.FRIEND, ChatKind.GROUP}
    return known and not (address.id.isdecimal() and len(address.id) <= _BUS_DIGITS)


def outcome_of_error(error: TransportError) -> Outcome:
    """Return what became of a request without an answer that may have been carried out."""
    code = "upstream.timeout" if isinstance(error, AnswerTimeoutError) else "upstream.lost"
    return Outcome(Status.UNKNOWN, code, str(error))


def _anchor_fields(attempt: Attempt) -> dict[str, object]:
    if not attempt.name:
        return {}
    return {"event_id" if attempt.is_event else "msg_id": attempt.name, "msg_seq": attempt.seq}


def _refusal(delivery: _Delivery, outcome: Outcome) -> Outcome:
    if not delivery.refused:
        return outcome
    return Outcome(
        Status.FAILED, "upstream.denied", f"{delivery.refused}; without an anchor: {outcome.detail}"
    )
