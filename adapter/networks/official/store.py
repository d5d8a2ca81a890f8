"""Store: what outlives the process, in one SQLite file of the state folder. No other module knows SQLite.

It holds where the gateway's session goes on, the anchors, the contacts that were met, and which anchor each
message took. A write is not synced: it outlives the process, and after a power cut an older state costs a
replay or a gap, never an event. Where the disk is full the adapter goes on with what it has in memory.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Final, Self

from adapter.events import Address, ChatKind, Gap
from adapter.networks.official.gaps import describe_gap
from adapter.networks.official.protocol.anchors import Anchor, Attempt, Met
from adapter.networks.official.protocol.frames import GatewaySession

log = logging.getLogger(__name__)

NAME: Final = "official.db"
# Rows of each table; the oldest ones go. At half a kilobyte a row a table has ten megabytes at most.
MAX_ROWS: Final = 20_000
# Inserts after which a table is looked at.
_TRIM_EVERY: Final = 1_000
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS bot (one INTEGER PRIMARY KEY CHECK (one = 1), appid TEXT NOT NULL,
  owner TEXT NOT NULL DEFAULT (hex(randomblob(8))), session TEXT NOT NULL DEFAULT '',
  seq INTEGER NOT NULL DEFAULT 0, heard REAL);
CREATE TABLE IF NOT EXISTS gap (one INTEGER PRIMARY KEY CHECK (one = 1), since REAL NOT NULL,
  until REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS anchors (key TEXT PRIMARY KEY, kind TEXT, chat TEXT, name TEXT, is_event INTEGER,
  reference TEXT, is_spent INTEGER);
CREATE TABLE IF NOT EXISTS contacts (openid TEXT, kind TEXT, name TEXT, PRIMARY KEY (kind, openid));
CREATE TABLE IF NOT EXISTS attempts (part TEXT PRIMARY KEY, name TEXT, is_event INTEGER, seq INTEGER);
"""
_TABLES: Final = ("anchors", "contacts", "attempts")
_SAVE: Final = "UPDATE bot SET session = ?, seq = ?, heard = ?"


class OfficialStore:
    """The file of one bot. Use it as `with OfficialStore(folder) as store`; `open` before anything else."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._connection: sqlite3.Connection | None = None
        self._inserts = 0
        self._is_failing = False

    def __enter__(self) -> Self:
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as exc:
            log.warning("%s cannot be used (%s): it is begun anew", self._path, exc)
            self._path.unlink(missing_ok=True)
            self._connection = self._open()
        return self

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path)
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction. A failure is logged once until a write succeeds."""
        if self._connection is None:
            raise RuntimeError("the store is used outside of its `with`")
        try:
            with self._connection:
                yield self._connection
        except sqlite3.Error as exc:
            if not self._is_failing:
                log.warning("%s cannot be written: %s", self._path, exc)
            self._is_failing = True
        else:
            self._is_failing = False

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        if self._connection is None:
            raise RuntimeError("the store is used outside of its `with`")
        try:
            with closing(self._connection.execute(query)) as cursor:
                return cursor.fetchall()
        except sqlite3.DatabaseError as exc:
            log.warning("%s cannot be read: %s", self._path, exc)
            return []

    # --- the bot and its session -------------------------------------------------------------------

    def use_bot(self, appid: str) -> None:
        """Work for this bot; what was kept for another one is forgotten."""
        if self._rows("SELECT appid FROM bot") == [(appid,)]:
            return
        with self._writing() as connection:
            for table in (*_TABLES, "bot", "gap"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 – a name of this module
            connection.execute("INSERT INTO bot (one, appid) VALUES (1, ?)", (appid,))

    def load_session(self) -> tuple[GatewaySession | None, float | None]:
        """Return the session to resume, and the time up to which nothing is missing."""
        for session, seq, heard in self._rows("SELECT session, seq, heard FROM bot"):
            known = GatewaySession(str(session), int(str(seq))) if session else None
            return known, float(str(heard)) if heard is not None else None
        return None, None

    def owner(self) -> str:
        """Return the name of this store, by which its own position is known again."""
        return next((str(owner) for (owner,) in self._rows("SELECT owner FROM bot")), "")

    def load_gap(self) -> Gap | None:
        """Return the gap that a former process may not have published."""
        for since, until, reason in self._rows("SELECT since, until, reason FROM gap"):
            return describe_gap(float(str(since)), float(str(until)), str(reason))
        return None

    def begin_session(self, session: GatewaySession, heard: float | None, gap: Gap | None) -> None:
        """Keep a new session, and the gap before it until `forget_gap`; all events before are stored."""
        with self._writing() as connection:
            connection.execute(_SAVE, (session.id, session.seq, heard))
            if gap is not None:
                row = (gap.since, gap.until, gap.reason)
                connection.execute("INSERT OR REPLACE INTO gap VALUES (1, ?, ?, ?)", row)

    def save_session(self, session: GatewaySession | None, heard: float | None) -> None:
        """Keep where the session goes on; call it when all events before are stored."""
        row = ("", 0, heard) if session is None else (session.id, session.seq, heard)
        with self._writing() as connection:
            connection.execute(_SAVE, row)

    def forget_gap(self) -> None:
        """Forget the gap: it is stored."""
        with self._writing() as connection:
            connection.execute("DELETE FROM gap")

    # --- anchors, contacts, attempts ---------------------------------------------------------------

    def load_anchors(self) -> list[Anchor]:
        """Return the anchors, the oldest first."""
        return [
            Anchor(
                str(key),
                Address(ChatKind(str(kind)), str(chat)),
                str(name),
                bool(is_event),
                str(reference),
                bool(is_spent),
            )
            for key, kind, chat, name, is_event, reference, is_spent in self._rows(
                "SELECT * FROM anchors ORDER BY rowid"
            )
        ]

    def load_contacts(self) -> list[Met]:
        """Return the contacts that were met, the oldest first."""
        return [Met(*map(str, row)) for row in self._rows("SELECT * FROM contacts ORDER BY rowid")]

    def load_attempts(self) -> list[Attempt]:
        """Return the attempts, the oldest first."""
        return [
            Attempt(str(part), str(name), bool(is_event), int(str(seq)))
            for part, name, is_event, seq in self._rows("SELECT * FROM attempts ORDER BY rowid")
        ]

    def save_met(self, anchors: Iterable[Anchor], contacts: Iterable[Met]) -> None:
        """Keep what a batch has brought."""
        rows = [
            (one.key, one.chat.kind.value, one.chat.id, one.name, one.is_event, one.reference, one.is_spent)
            for one in anchors
        ]
        met = [astuple(one) for one in contacts]
        if rows or met:
            with self._writing() as connection:
                self._insert(connection, "anchors", rows)
                self._insert(connection, "contacts", met)

    def save_attempt(self, attempt: Attempt) -> None:
        """Keep what a message is about to be sent with."""
        with self._writing() as connection:
            self._insert(connection, "attempts", [astuple(attempt)])

    def forget_attempt(self, part: str) -> None:
        """Forget an attempt of which nothing has left."""
        with self._writing() as connection:
            connection.execute("DELETE FROM attempts WHERE part = ?", (part,))

    def _insert(self, connection: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        places = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)  # noqa: S608
        self._inserts += len(rows)
        if self._inserts >= _TRIM_EVERY:
            self._inserts = 0
            for name in _TABLES:
                connection.execute(
                    f"DELETE FROM {name} WHERE rowid <= (SELECT max(rowid) FROM {name}) - ?",  # noqa: S608
                    (MAX_ROWS,),
                )
