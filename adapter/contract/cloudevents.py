"""An entry of `qq:inbound` as a CloudEvent 1.0 in its JSON form. Pure.

id            id              the same if it is published again, as CloudEvents wants it with source
source        account         `urn:qq:<account>`
type          type            `qqbus.message.group`
subject       chat            left out if there is none
time          time
partitionkey  chat            extension "partitioning": key for order
sequence      seq             extension "sequence", twenty digits: as text it sorts as a number does
qqepoch, qqself               extensions of ours
data          sender, text, and all of the body; bytes in it as base64
"""

import base64
from collections.abc import Mapping

SEQUENCE_DIGITS = 20


def cloudevent(fields: Mapping[str, str], body: Mapping[str, object]) -> dict[str, object]:
    """The event as a JSON object. `fields` as texts without `body`; `body` unpacked."""
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": fields["id"],
        "source": f"urn:qq:{fields['account'] or '0'}",
        "type": f"qqbus.{fields['type']}",
        "time": fields["time"],
        "datacontenttype": "application/json",
        "sequence": fields["seq"].zfill(SEQUENCE_DIGITS),
        "qqepoch": fields["epoch"],
        "qqself": fields["self"] == "1",
        "data": {
            "sender": fields["sender"],
            "text": fields["text"],
            **{k: _plain(v) for k, v in body.items()},
        },
    }
    if fields["chat"]:
        event["subject"] = event["partitionkey"] = fields["chat"]
    return event


def _plain(value: object) -> object:
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
