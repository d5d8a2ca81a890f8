"""Run python-smartqq-client: prints each message as JSON and answers it.

The client keeps contacts in a MongoDB of this machine; a stand-in in memory takes its place.
"""

import json
from collections.abc import Mapping
from typing import Any

import mongomock
import pymongo

pymongo.MongoClient = mongomock.MongoClient

from pyqqclient.SmartqqClient import SmartqqClient  # noqa: E402 – takes MongoClient when it is imported


def show(kind: str, **values: object) -> None:
    """Print one line for the check."""
    print(json.dumps({"kind": kind, **values}, ensure_ascii=False), flush=True)


def on_friend(message: Mapping[str, Any]) -> None:
    """Answer a friend."""
    value = message["value"]
    person = client.contact_manager.get_contact_info(value["from_uin"])
    text = client.get_message_content(value)
    show("message", chat="buddy", name=client.get_user_name(person), member=None, text=text)
    client.send_message(value["from_uin"], "re: " + text)


def on_group(message: Mapping[str, Any]) -> None:
    """Answer in a group."""
    value = message["value"]
    group = client.group_manager.get_group_info(value["from_uin"])
    member = client.group_manager.get_member_info(value["from_uin"], value["send_uin"])
    names = {"name": client.get_group_name(group), "member": client.get_user_name(member)}
    text = client.get_message_content(value)
    show("message", chat="group", text=text, **names)
    client.send_group_message(value["from_uin"], "re: " + text)


client = SmartqqClient(
    friend_message_handler=on_friend,
    group_message_handler=on_group,
    login_done_handler=lambda: show("online"),
)
client.run()
