"""Messages of the bot: anchors, quotas, de-duplication, recall."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import quotas
from .call import Call, Reply, json_reply
from .errors import ApiError, body_of, refusal
from .media import Media, Upload
from .record import Received
from .service import Anchor, Service
from .world import Chat, Group, Person

TEXT, MARKDOWN, TYPING, MEDIA = 0, 2, 6, 7
AUDIT = 304023
_ADDRESS = re.compile(r"https?://|www\.", re.IGNORECASE)
_SENT_KEPT = 100_000


@dataclass(frozen=True)
class Draft:
    """One message as the bot wrote it, checked."""

    msg_type: int
    text: str
    anchor: str
    msg_seq: int
    reference: str
    upload: Upload | None
    raw: Mapping[str, Any]


class Sending:
    """Accept messages, or refuse them as the API does."""

    def __init__(self, service: Service, media: Media) -> None:
        self._service = service
        self._media = media
        self._sent: dict[str, Received] = {}

    def send(self, call: Call, chat: Chat, *, shown: bool) -> Reply:
        """Answer POST messages."""
        self._check_target(chat)
        draft = self._draft(call.json(), chat)
        self._check_content(draft, chat)
        anchor = self._anchor(draft, chat)
        if anchor is None:
            self._check_proactive(draft, chat)
        else:
            self._use(anchor, draft)
        if draft.msg_type == TYPING:
            self._service.record.add(self._service.record.typing, chat.chat)
            return json_reply(self._answer(self._service.mint.message(), ""))
        return self._accept(draft, chat, shown=shown)

    def send_upload(self, chat: Chat, upload: Upload) -> None:
        """Send a file at once, as `srv_send_msg` asks for."""
        self._check_target(chat)
        draft = Draft(MEDIA, "", "", 0, "", upload, {"srv_send_msg": True})
        self._check_proactive(draft, chat)
        self._accept(draft, chat, shown=True)

    def recall(self, call: Call, chat: Chat) -> Reply:
        """Answer DELETE messages/ID."""
        sent = self._sent.get(call.parts["message"])
        if sent is None or sent.recalled:
            raise ApiError(40061001)
        if sent.chat != chat.chat:
            raise ApiError(40062003)
        if self._service.clock() - sent.time > self._service.options.recall_seconds:
            raise ApiError(40064004)
        sent.recalled = True
        self._service.record.changed.beat()
        return json_reply({})

    # Checks

    def _check_target(self, chat: Chat) -> None:
        if self._service.options.needs_gateway and not any(
            one.detached is None for one in self._service.sessions.alive()
        ):
            raise ApiError(304018)
        if isinstance(chat, Group):
            if not chat.has_bot:
                raise ApiError(40034101)
            if chat.is_muted:
                raise ApiError(40054002)
        elif not chat.is_friend:
            raise ApiError(40054004)
        elif chat.refuses:
            raise ApiError(40054013)

    def _draft(self, body: Mapping[str, Any], chat: Chat) -> Draft:
        msg_type, seq = body.get("msg_type", TEXT), body.get("msg_seq") or 1
        if msg_type not in {TEXT, MARKDOWN, TYPING, MEDIA}:
            raise ApiError(22006)
        if not isinstance(seq, int) or seq < 0:
            raise ApiError(12002)
        markdown, media = body.get("markdown"), body.get("media")
        text = body.get("content") or ""
        if msg_type == MARKDOWN:
            if text or not isinstance(markdown, dict):
                raise ApiError(304036)
            text = markdown.get("content") or ""
        upload = None
        if msg_type == MEDIA:
            info = media.get("file_info") if isinstance(media, dict) else None
            upload = self._media.find(chat, str(info))
            if upload is None:
                raise ApiError(850019)
        anchor = str(body.get("msg_id") or body.get("event_id") or "")
        reference = body.get("message_reference")
        quoted = str(reference.get("message_id", "")) if isinstance(reference, dict) else ""
        return Draft(msg_type, str(text), anchor, seq, quoted, upload, body)

    def _check_content(self, draft: Draft, chat: Chat) -> None:
        options = self._service.options
        if draft.msg_type in {TEXT, MARKDOWN} and not draft.text.strip():
            raise ApiError(50006)
        if options.max_length and len(draft.text) > options.max_length:
            raise ApiError(40054007)
        if isinstance(chat, Group) and not options.urls_in_groups and _ADDRESS.search(draft.text):
            raise ApiError(40054010)

    def _anchor(self, draft: Draft, chat: Chat) -> Anchor | None:
        if not draft.anchor:
            return None
        is_event = not draft.raw.get("msg_id")
        anchor = self._service.anchors.get(draft.anchor)
        if anchor is None or anchor.chat != chat.chat or anchor.is_event != is_event:
            raise ApiError(40034025 if is_event else 40034024)
        return anchor

    def _use(self, anchor: Anchor, draft: Draft) -> None:
        options = self._service.options
        is_private = anchor.chat.startswith("friend:")
        window = options.c2c_window if is_private else options.group_window
        if draft.msg_seq in anchor.seqs and (options.event_dedup or not anchor.is_event):
            raise ApiError(40054005)
        if self._service.clock() - anchor.since > window:
            raise ApiError(40034005 if is_private else 304103)
        if anchor.replies >= (options.c2c_replies if is_private else options.group_replies):
            raise ApiError(40034128)
        anchor.seqs.add(draft.msg_seq)
        anchor.replies += draft.msg_type != TYPING

    def _check_proactive(self, draft: Draft, chat: Chat) -> None:
        options = self._service.options
        if isinstance(chat, Person) and draft.raw.get("is_wakeup") is True:
            self._use_wakeup(chat)
            return
        if not (chat.allows_proactive if isinstance(chat, Group) else chat.accepts_proactive):
            raise ApiError(40034105)
        if options.proactive_limits and not self._service.quotas.allow(*quotas.proactive(chat.chat, options)):
            raise ApiError(40034100)

    def _use_wakeup(self, person: Person) -> None:
        period = quotas.period(self._service.clock() - person.last_word)
        if period < 0 or period in person.wakeups:
            raise ApiError(40034102)
        person.wakeups.add(period)

    # Acceptance

    def _accept(self, draft: Draft, chat: Chat, *, shown: bool) -> Reply:
        service, now = self._service, self._service.clock()
        swallowed = now - service.last_expiry < service.options.swallow_after_expiry
        received = Received(
            n=service.record.number("received"),
            time=now,
            chat=chat.chat,
            id=service.mint.message(),
            ref_idx=service.mint.reference(),
            text=draft.text,
            msg_type=draft.msg_type,
            anchor=draft.anchor,
            msg_seq=draft.msg_seq,
            reference=draft.reference,
            media=None if draft.upload is None else draft.upload.described(),
            raw=draft.raw,
            shown=shown and not swallowed,
        )
        service.record.add(service.record.received, received)
        self._sent[received.id] = received
        if len(self._sent) > _SENT_KEPT:
            del self._sent[next(iter(self._sent))]
        if service.options.audit:
            audit = {"message_audit": {"audit_id": service.mint.hexadecimal()}}
            trace_id = service.mint.hexadecimal()
            return json_reply(body_of(AUDIT, trace_id, audit), refusal(AUDIT).status, AUDIT)
        return json_reply(self._answer(received.id, received.ref_idx))

    def _answer(self, message_id: str, reference: str) -> dict[str, Any]:
        return {
            "id": message_id,
            "timestamp": self._service.clock.stamp(),
            "ext_info": {"ref_idx": reference},
        }
