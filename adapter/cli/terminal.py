"""Write to terminals and pipes: harmless text, JSON lines, columns, colours."""

import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from adapter.cli.errors import OutputError
from adapter.i18n import translate
from adapter.ops.logs import set_up
from adapter.plain_text import harmless, is_unsafe

log = logging.getLogger(__name__)

# Blanks between columns.
_GAP = 2
# Columns of a pipe, which has no window: nothing is wrapped.
_UNLIMITED = 100_000
_ANSI_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
CLEAR_SCREEN = "\x1b[H\x1b[2J"


def as_json(value: object) -> str:
    """Return one line of JSON, as harmless. Bytes become hexadecimal text."""
    line = json.dumps(value, ensure_ascii=False, default=_json_default)
    return line if line.isascii() and "\x7f" not in line else "".join(map(_escape, line))


def _json_default(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _escape(char: str) -> str:
    if not is_unsafe(char):
        return char
    return f"\\u{ord(char):04x}" if char == "\x7f" else json.dumps(char)[1:-1]


@dataclass(frozen=True, slots=True)
class Paint:
    """Colour text, or leave it as it is."""

    colour: bool

    def __call__(self, text: str, style: str) -> str:
        """Return the text in a style: bold, dim, red, green, yellow or cyan."""
        return f"\x1b[{_ANSI_CODES[style]}m{text}\x1b[0m" if self.colour and text else text


def clip(text: str, columns: int) -> str:
    """Cut the text to a number of columns, with `…` for the missing rest."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 – most commands print no columns

    return text if cell_len(text) <= columns else set_cell_size(text, columns - 1).rstrip() + "…"


def align_columns(rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Return rows with aligned columns; those in `right` are flush right.

    Cells become harmless.
    Not a rich.table: that takes 0.8 ms a row, which are seconds for the contacts of a busy account.
    """
    from rich.cells import cell_len  # noqa: PLC0415 – likewise

    cells = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        blanks = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        parts = [
            blank + cell if number in right else cell + blank
            for number, (cell, blank) in enumerate(zip(row, blanks, strict=True))
        ]
        lines.append((" " * _GAP).join(parts).rstrip())
    return lines


def draw_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, colour: bool, right: frozenset[int] = frozenset()
) -> list[str]:
    """Return a table that fits the window; in a pipe aligned columns. Cells become harmless."""
    if not sys.stdout.isatty():
        return align_columns([header, *rows], right=right)
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 – pipes need none of it
    from rich.table import Table  # noqa: PLC0415 – likewise

    is_unicode = "utf" in sys.stdout.encoding.lower()
    table = Table(box=SIMPLE_HEAD if is_unicode else None, header_style="dim", pad_edge=False)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(harmless, row))
    return [line for line in _render(table, colour=colour) if line]


def wrap_rows(
    rows: Sequence[tuple[str, str]], *, colour: bool, styles: Mapping[int, str] | None = None
) -> list[str]:
    """Return rows of label and text, wrapped at the window's edge.

    Cells become harmless.
    `styles`: of a row, by its number.
    """
    from rich.table import Table  # noqa: PLC0415 – pipes need none of it

    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for number, (label, text) in enumerate(rows):
        grid.add_row(harmless(label), harmless(text), style=(styles or {}).get(number))
    return _render(grid, colour=colour)


def _render(table: Any, *, colour: bool) -> list[str]:
    """Return the lines of a table of rich, no wider than the window."""
    from rich.console import Console  # noqa: PLC0415 – pipes need none of it

    # No markup, no :emoji: codes: the texts are foreign.
    console = Console(
        file=io.StringIO(),
        width=shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNLIMITED,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


def show_progress(what: str) -> AbstractContextManager[object]:
    """Show on standard error, if that is a terminal, what is waited for."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return nullcontext()
    from rich.console import Console  # noqa: PLC0415 – pipes need none of it

    return Console(stderr=True, markup=False, emoji=False).status(f"{what} …")


def say(*lines: str) -> None:
    """Print lines at once. Raises as `output_errors` does."""
    with output_errors():
        sys.stdout.write("\n".join(lines) + "\n")


def write_bytes(data: bytes) -> None:
    """Write to standard output at once. Raises as `output_errors` does."""
    with output_errors():
        sys.stdout.buffer.write(data)


def complain(text: str, /, **values: object) -> None:
    """Print an error in one line and in the chosen language, on standard error as far as that takes it.

    With QQBUS_LOG=json the line is an entry of the log, in English, so that its reader misses no fatal error.
    """
    try:
        if os.environ.get("QQBUS_LOG") == "json":
            set_up("json", "INFO")
            log.error("%s", harmless(text.format(**values) if values else text))
        else:
            print(f"qqbus: {harmless(translate(text, values))}", file=sys.stderr)
    except OSError:
        _discard(sys.stderr)


@contextmanager
def output_errors() -> Iterator[None]:
    """Flush standard output afterwards.

    Raises BrokenPipeError if its reader has gone, OutputError for all other failures.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as exc:
        _discard(sys.stdout)
        if isinstance(exc, BrokenPipeError):
            raise
        raise OutputError("standard output: {strerror}", strerror=exc.strerror) from exc


def _discard(stream: Any) -> None:
    """Send what the buffer holds to the null device.

    At exit Python would try to write it again, and print a traceback.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def open_standard_streams() -> None:
    """Make the standard streams fit for any text, and open the null device for each closed one, as by `>&-`.

    Without it a socket would get its number, and what a library prints would go into that socket. A terminal
    that is not UTF-8 shows codes, not a traceback.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            if null != number:
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 – open to the end
        stream = getattr(sys, name)
        if name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
