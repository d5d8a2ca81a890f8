"""Make the AsyncAPI 3 document from the tables: channels, messages and operations of the adapter."""

from typing import Any

from adapter.contract.schemas import BODIES, all_schemas
from adapter.contract.tables import HASHES, TABLES, Table
from adapter.events import CONTRACT_VERSION

_CONTENT = "application/x-redis-stream-entry"
_ABOUT = """\
QQ on Redis streams. Every entry is a flat list of names and values; values are UTF-8 text, but for
`body` and `fields`, which hold one msgpack map, and `png`. Ids are decimal strings. Readers ignore
fields, types and map keys that they do not know. Where the prefix setting is not `qq`, all keys begin
with that instead."""
_SENT = ("inbound", "results", "dead", "session")
_TITLES = {"body.message": "message", "body.notice": "notice", "body.session": "session"}


def document() -> dict[str, Any]:
    """Return the whole document."""
    schemas = {name: _embedded(schema) for name, schema in all_schemas().items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "qqbus",
            "version": f"{CONTRACT_VERSION}.0.0",
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": _CONTENT,
        "servers": {"local": {"host": "127.0.0.1:6379", "protocol": "redis"}},
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": schemas},
    }


def _embedded(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name not in {"$schema", "$id"}}


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


def _messages_of(table: Table) -> list[str]:
    """Return the messages of a channel: of events one a family, else one."""
    if table.name == "inbound":
        return [f"inbound.{_TITLES[body]}" for body in BODIES["inbound"]]
    return [table.name]


def _channels() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for table in TABLES.values():
        made[table.name] = {
            "address": f"qq:{table.name}",
            "description": f"{table.kind.capitalize()}. {table.what}",
            "messages": {name: _ref("components", "messages", name) for name in _messages_of(table)},
        }
    made["ownResults"] = {
        "address": "qq:results:{name}",
        "description": "Stream. Results of requests that name it: the newest 10,000 or so, for a week.",
        "parameters": {"name": {"description": "1 to 64 of A-Z a-z 0-9 . _ -"}},
        "messages": {"results": _ref("components", "messages", "results")},
    }
    for name, what in HASHES.items():
        key = name.partition(":")[0]
        made[key] = {"address": f"qq:{name}", "description": f"Hash. {what}"}
        if "{" in name:
            made[key]["parameters"] = {"chat": {"description": "address of the group or discussion"}}
        made[key]["messages"] = {"contact": _ref("components", "messages", "contact")}
    return made


def _operations() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in ("inbound", "outbound", "results", "dead", "control", "session"):
        table = TABLES[name]
        made[f"{'send' if name in _SENT else 'receive'}{name.capitalize()}"] = {
            "action": "send" if name in _SENT else "receive",
            "channel": _ref("channels", name),
            "summary": table.what,
            "messages": [_ref("channels", name, "messages", each) for each in _messages_of(table)],
        }
    made["receiveOutbound"]["reply"] = {
        "channel": _ref("channels", "results"),
        "messages": [_ref("channels", "results", "messages", "results")],
    }
    return made


def _messages() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for table in TABLES.values():
        for name in _messages_of(table):
            made[name] = {
                "name": name,
                "title": table.what.partition(".")[0],
                "contentType": _CONTENT,
                "payload": _ref("components", "schemas", table.name),
            }
    for body, family in _TITLES.items():
        made[f"inbound.{family}"]["title"] = f"{family}.*"
        made[f"inbound.{family}"]["x-body"] = _ref("components", "schemas", body)
    made["outbound"]["x-body"] = _ref("components", "schemas", "body.request")
    for name in ("outbound", "results"):
        made[name]["correlationId"] = {"location": "$message.payload#/id"}
    made["contact"] = {
        "name": "contact",
        "title": "A contact",
        "contentType": "application/msgpack",
        "payload": _ref("components", "schemas", "contact"),
    }
    return made
