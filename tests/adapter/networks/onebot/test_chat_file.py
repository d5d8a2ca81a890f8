"""The chats that a restart knows."""

from pathlib import Path

import pytest

from adapter.events import Address, ChatKind
from adapter.networks.onebot.chat_file import WRITE_SECONDS, ChatFile
from adapter.networks.onebot.recent_chats import RecentChats

FRIEND, GROUP = Address(ChatKind.FRIEND, "10001"), Address(ChatKind.GROUP, "30001")


def test_chats_come_back_in_their_order(tmp_path: Path) -> None:
    file = ChatFile(tmp_path / "chats")
    assert file.read() == []
    assert file.is_due(0.0)
    file.write([(GROUP, 90.0), (FRIEND, 100.5)], 5.0)
    assert not file.is_due(5.0 + WRITE_SECONDS - 1)
    assert file.is_due(5.0 + WRITE_SECONDS)
    chats = RecentChats()
    chats.restore(ChatFile(tmp_path / "chats").read())
    assert chats.times() == ((GROUP, 90.0), (FRIEND, 100.5))
    assert chats.latest(95.0, 10) == (FRIEND,)
    assert (tmp_path / "chats").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b'[["x:y", 1]]', b'{"a": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "chats").write_bytes(content)
    assert ChatFile(tmp_path / "chats").read() == []


def test_a_folder_that_takes_nothing_ends_nothing(tmp_path: Path) -> None:
    ChatFile(tmp_path / "missing" / "chats").write([(FRIEND, 1.0)], 0.0)
    assert not (tmp_path / "missing").exists()
