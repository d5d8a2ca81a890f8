"""Bodies of message events as the gateway spells them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import faces
from .files import AUTH_TOKEN, PIXEL, TYPES, Files
from .options import Options
from .world import BOT, Group, Person, World

QUOTE = 103
_OWNER, _MEMBER = "owner", "member"


class SayError(ValueError):
    """A message cannot be said like this; the text says why."""


@dataclass(frozen=True)
class Utterance:
    """One thing that a user says.

    `text` is as typed; `content` is the wire's text instead. `attachments` are objects with `kind` image,
    voice, video or file. `quote` is an object with `text`, `author`, `attachments`.
    """

    text: str = ""
    content: str | None = None
    sender: str = ""
    at: bool = False
    attachments: tuple[Mapping[str, Any], ...] = ()
    quote: Mapping[str, Any] | None = None
    card: Mapping[str, Any] | None = None

    @property
    def wire(self) -> str:
        """Return the text as the wire has it, without a mention."""
        return faces.from_typed(self.text) if self.content is None else self.content


@dataclass(frozen=True)
class Head:
    """What all copies of one message share."""

    message_id: str
    msg_idx: str
    ref_msg_idx: str
    timestamp: str


class Composer:
    """Build event bodies for one world."""

    def __init__(self, world: World, files: Files) -> None:
        self._world = world
        self._files = files

    def attachments(self, described: tuple[Mapping[str, Any], ...]) -> list[dict[str, Any]]:
        """Keep the files and return their entries, unsigned."""
        return [self._attachment(one) for one in described]

    def private(
        self, person: Person, said: Utterance, head: Head, attached: list[Any], options: Options
    ) -> dict[str, Any]:
        """Return the body of C2C_MESSAGE_CREATE."""
        if options.old_payloads:
            return _old(head, said.wire, {"user_openid": person.openid}, attached)
        author = {
            "id": person.openid,
            "user_openid": person.openid,
            "union_openid": self._world.union(person.name) if options.union_openids else "",
            "username": "",
            "bot": False,
        }
        return self._body(head, said, said.wire, author, attached)

    def group(
        self, group: Group, said: Utterance, head: Head, attached: list[Any], options: Options, *, full: bool
    ) -> dict[str, Any]:
        """Return the body of a group event, `full` or for the mentioned bot."""
        own = self._world.bot_in(group)
        mention = f'<qqbot-at-user id="{own}" />' if options.mention_style == "long" else f"<@{own}>"
        prefix = (f"{mention} " if full else " ") if said.at else ""
        member = self._world.member(group, said.sender)
        if options.old_payloads:
            old = _old(head, prefix + said.wire, {"member_openid": member}, attached)
            return old | {"group_openid": group.openid}
        author = {
            "id": member,
            "member_openid": member,
            "member_role": group.roles.get(said.sender, _MEMBER),
            "union_openid": self._world.union(said.sender) if options.union_openids else "",
            "username": said.sender,
            "bot": False,
        }
        body = self._body(head, said, prefix + said.wire, author, attached)
        body |= {"group_openid": group.openid, "group_id": group.openid}
        return body | {"mentions": None if full and options.null_mentions else self._mentions(said, own)}

    def _mentions(self, said: Utterance, own: str) -> list[dict[str, Any]]:
        if not said.at:
            return []
        return [
            {"scope": "single", "id": own, "member_openid": own, "username": BOT, "bot": True, "is_you": True}
        ]

    def _body(
        self, head: Head, said: Utterance, content: str, author: Mapping[str, Any], attached: list[Any]
    ) -> dict[str, Any]:
        ext = [f"msg_idx={head.msg_idx}", AUTH_TOKEN]
        body: dict[str, Any] = {
            "id": head.message_id,
            "content": content,
            "timestamp": head.timestamp,
            "author": dict(author),
            "message_type": 3 if said.card else 0,
            "message_scene": {"source": "default", "ext": ext},
            "attachments": attached,
        }
        if said.card:
            body["ark_data"] = dict(said.card)
        if said.quote is not None:
            body["message_type"] = QUOTE
            body["msg_elements"] = [self._quoted(said.quote, head.ref_msg_idx)]
            ext.insert(1, f"ref_msg_idx={head.ref_msg_idx}")
        return body

    def _quoted(self, quote: Mapping[str, Any], reference: str) -> dict[str, Any]:
        return {
            "msg_idx": reference,
            "author": {"username": str(quote.get("author", "")), "bot": bool(quote.get("bot", False))},
            "message_type": 0,
            "content": faces.from_typed(str(quote.get("text", ""))),
            "attachments": self.attachments(tuple(quote.get("attachments", ()))),
        }

    def _attachment(self, described: Mapping[str, Any]) -> dict[str, Any]:
        kind = described.get("kind")
        if kind not in TYPES:
            raise SayError(f"an attachment's kind is one of {', '.join(TYPES)}, not {kind!r}")
        try:
            content = base64.b64decode(described["base64"], validate=True) if "base64" in described else PIXEL
        except (TypeError, ValueError) as exc:
            raise SayError(f"base64 is not base64: {exc}") from exc
        entry: dict[str, Any] = {
            "content_type": described.get("content_type", TYPES[kind]),
            "filename": str(described.get("name", f"{kind}.bin")),
            "url": self._files.put(content),
            "size": len(content),
        }
        if kind in {"image", "video"}:
            entry |= {"width": int(described.get("width", 1)), "height": int(described.get("height", 1))}
        if kind == "voice":
            entry |= {
                "voice_wav_url": self._files.put(content),
                "asr_refer_text": str(described.get("asr", "")),
            }
        return entry


def _old(head: Head, content: str, author: Mapping[str, Any], attached: list[Any]) -> dict[str, Any]:
    body = {"id": head.message_id, "content": content, "timestamp": head.timestamp, "author": dict(author)}
    return body | ({"attachments": attached} if attached else {})
