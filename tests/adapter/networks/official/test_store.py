"""The store: what outlives the process, and files that cannot be used."""

import sqlite3
import stat
from pathlib import Path

import pytest

from adapter.events import Address, ChatKind
from adapter.networks.official import store as module
from adapter.networks.official.gaps import describe_gap
from adapter.networks.official.protocol.anchors import Anchor, Attempt, Met
from adapter.networks.official.protocol.frames import GatewaySession
from adapter.networks.official.store import NAME, OfficialStore

ANN = Address(ChatKind.FRIEND, "5A" * 16)
ANCHOR = Anchor("k", ANN, "ROBOT1.0_m", reference="REFIDX_m")


def test_what_is_written_is_there_for_the_next_process_and_for_its_bot_alone(tmp_path: Path) -> None:
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        assert store.load_session() == (None, None)
        store.save_session(GatewaySession("s", 7), 100.5)
        store.save_met([ANCHOR], [Met("5A", "friend", "ann")])
        store.save_attempt(Attempt("p", "ROBOT1.0_m", is_event=False, seq=9))
        store.save_attempt(Attempt("q", "", is_event=False, seq=1))
        store.forget_attempt("q")
        owner = store.owner()
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        assert (store.load_session(), store.owner()) == ((GatewaySession("s", 7), 100.5), owner)
        assert (store.load_anchors(), store.load_contacts()) == ([ANCHOR], [Met("5A", "friend", "ann")])
        assert store.load_attempts() == [Attempt("p", "ROBOT1.0_m", is_event=False, seq=9)]
        store.use_bot("102000002")
        assert (store.load_session(), store.load_anchors()) == ((None, None), [])
        assert store.owner() != owner


def test_a_gap_is_there_until_it_is_stored(tmp_path: Path) -> None:
    gap = describe_gap(100.5, 103.25, "the connection was lost")
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        store.begin_session(GatewaySession("s", 1), 102.25, gap)
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        assert (store.load_session(), store.load_gap()) == ((GatewaySession("s", 1), 102.25), gap)
        store.save_session(GatewaySession("s", 2), 103.0)
        assert store.load_gap() == gap
        store.forget_gap()
        assert store.load_gap() is None


def test_tables_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        for start in range(0, 3_000, 500):
            store.save_met([Anchor(f"k{start + n}", ANN, f"m{start + n}") for n in range(500)], ())
        assert [one.key for one in store.load_anchors()] == [f"k{n}" for n in range(2_990, 3_000)]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4_000])
def test_a_spoilt_file_is_begun_anew(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).write_bytes(content)
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        store.save_session(GatewaySession("s", 7), None)
        assert store.load_session() == (GatewaySession("s", 7), None)
    assert "begun anew" in caplog.text


def test_a_file_that_cannot_be_written_is_logged_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with OfficialStore(tmp_path) as store:
        store.use_bot("102000001")
        other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
        other.execute("DROP TABLE attempts")
        for number in range(3):
            store.save_attempt(Attempt(str(number), "", is_event=False, seq=1))
        assert store.load_attempts() == []
        other.close()
    assert caplog.text.count("cannot be written") == 1
