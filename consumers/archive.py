"""Store every event in an SQLite file, and search it.

python -m consumers.archive talk.db
python -m consumers.archive talk.db --query "words to find" --chat group:2
"""

import argparse
import logging
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from inspect import cleandoc
from pathlib import Path
from typing import Final, NamedTuple

from adapter import Received, pack
from adapter.cli.errors import OutputError
from adapter.cli.terminal import open_standard_streams, say
from adapter.i18n import _, terminal_texts, translate_error
from adapter.plain_text import harmless
from qqbus import Event, Worker

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, type TEXT NOT NULL,
  time REAL NOT NULL, account TEXT NOT NULL, chat TEXT NOT NULL, chat_name TEXT NOT NULL,
  sender TEXT NOT NULL, sender_name TEXT NOT NULL, own INTEGER NOT NULL, text TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_chat ON events (chat, time);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5
  (text, sender_name, chat_name, content='events', content_rowid='number', tokenize='{tokenizer}');
CREATE TRIGGER IF NOT EXISTS index_words AFTER INSERT ON events BEGIN
  INSERT INTO words (rowid, text, sender_name, chat_name)
  VALUES (new.number, new.text, new.sender_name, new.chat_name);
END;
"""
# SQLite version. Trigrams find parts of words, and words of languages without blanks between them.
_TRIGRAM_SINCE: Final = (3, 34)
# Columns that a query looks into.
_SEARCHED: Final = ("text", "sender_name", "chat_name")
# Characters of the shortest term that a trigram index knows.
_TRIGRAM: Final = 3
# Results of a query.
LIMIT: Final = 50
# Seconds: an event that is older when it is stored is one of the past, which is being read in.
_PAST_SECONDS: Final = 60.0
# Seconds between two lines about that.
_PROGRESS_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


class Row(NamedTuple):
    """One result of a query."""

    time: float
    chat: str
    chat_name: str
    sender: str
    sender_name: str
    text: str

    def __str__(self) -> str:
        clock = datetime.fromtimestamp(self.time, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        speaker = self.sender_name or self.sender
        return harmless(f"{clock} {self.chat} {self.chat_name} | {speaker}: {self.text}")


class Archive:
    """The database. An event that is added twice is stored once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Archive"]:
        """Open the file, or create it for its owner alone."""
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
        db = sqlite3.connect(path, isolation_level=None)
        try:
            # WAL: a search does not wait for the writer. FULL: an acknowledged event is on disk.
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            # As the trigram index compares, in all languages: SQLite's own LIKE folds ASCII alone.
            db.create_function("contains", 2, _contains, deterministic=True)
            tokenizer = "trigram" if sqlite3.sqlite_version_info >= _TRIGRAM_SINCE else "unicode61"
            db.executescript(_SCHEMA.format(tokenizer=tokenizer))
            yield cls(db)
        finally:
            db.close()

    def add(self, event: Received) -> None:
        """Store an event."""
        self._db.execute(
            "INSERT OR IGNORE INTO events (id, seq, type, time, account, chat, chat_name, sender,"
            " sender_name, own, text, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(event.id, event.seq, event.type, event.time, event.account, event.chat, event.chat_name),
                *(event.sender, event.sender_name, event.own, event.text, pack(event.body)),
            ),
        )

    def find(self, words: str, chat: str = "", limit: int = LIMIT) -> list[Row]:
        """Return the newest events that contain all these words, newest last."""
        # SQLite ends a text at the first NUL.
        terms = words.replace("\0", " ").split()
        # A trigram index knows nothing shorter: such words take a scan.
        long = [term for term in terms if len(term) >= _TRIGRAM]
        short = [term for term in terms if len(term) < _TRIGRAM]
        where, values = ["1"], list[str]()
        if long:
            where.append("number IN (SELECT rowid FROM words WHERE words MATCH ?)")
            values.append(" ".join('"' + term.replace('"', '""') + '"' for term in long))
        for term in short:
            where.append("(" + " OR ".join(f"contains({column}, ?)" for column in _SEARCHED) + ")")
            values += [term] * len(_SEARCHED)
        if chat:
            where.append("chat = ?")
            values.append(chat)
        rows = self._db.execute(
            "SELECT time, chat, chat_name, sender, sender_name, text FROM events"  # noqa: S608 – values are bound
            f" WHERE {' AND '.join(where)} ORDER BY time DESC, number DESC LIMIT ?",
            (*values, limit),
        )
        return [Row(*row) for row in rows][::-1]


class Progress:
    """Logs how far the past has been read in."""

    def __init__(self) -> None:
        self._count = 0
        self._logged = float("-inf")

    def note(self, event_time: float, seconds: float, now: float) -> None:
        """Count an event; `seconds` on a clock that never goes back, `now` and `event_time` since 1970."""
        if now - event_time < _PAST_SECONDS:
            return
        self._count += 1
        if seconds - self._logged >= _PROGRESS_SECONDS:
            self._logged = seconds
            moment = datetime.fromtimestamp(event_time, UTC).astimezone()
            log.info("reading in the past: %d events, up to %s", self._count, f"{moment:%Y-%m-%d %H:%M:%S}")


def _contains(text: str, term: str) -> bool:
    return term.casefold() in text.casefold()


def main() -> None:
    """Archive until SIGTERM, SIGINT or SIGHUP, or answer a query."""
    open_standard_streams()
    with terminal_texts():
        options = _parse_arguments()
    if options.query is not None and not options.file.exists():
        sys.exit(_("{file} does not exist").format(file=options.file))
    try:
        _run(options)
    except BrokenPipeError:  # `… | head` is no error
        pass
    except OutputError as exc:
        sys.exit(translate_error(exc))
    except (sqlite3.Error, OSError) as exc:
        sys.exit(_("{file} cannot be used: {error}").format(file=options.file, error=exc))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m consumers.archive",
        description=_(cleandoc(__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help=_("the SQLite file"))
    parser.add_argument(
        "--query", metavar="WORDS", help=_("print the events that contain all these words, and exit")
    )
    parser.add_argument("--chat", default="", help=_("with --query: only in this chat"))
    parser.add_argument(
        "--limit",
        type=int,
        default=LIMIT,
        help=_("with --query: number of results ({LIMIT})").format(LIMIT=LIMIT),
    )
    options = parser.parse_args()
    if options.query is None and (options.chat or options.limit != LIMIT):
        parser.error(_("--chat and --limit go with --query"))
    return options


def _run(options: argparse.Namespace) -> None:
    with Archive.open(options.file) as archive:
        if options.query is not None:
            found = archive.find(options.query, options.chat, options.limit)
            if found:
                say(*map(str, found))
            return
        worker, progress = Worker("archive"), Progress()

        @worker.on(own=True)
        async def store(event: Event) -> None:
            archive.add(event.received)
            progress.note(event.received.time, time.monotonic(), time.time())

        worker.main()


if __name__ == "__main__":
    main()
