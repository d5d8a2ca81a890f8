"""The texts that a person sees, by extraction from the sources: what each catalogue must have."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.extract import extract

from tests.support import ROOT

# Programs beside `qqbus`: workers that are ready to use, the demo and the simulators.
PROGRAMS = (
    *sorted((ROOT / "consumers").rglob("*.py")),
    *(ROOT / "tests" / name for name in ("demo.py", "demo_bot.py", "demo_networks.py")),
    *(ROOT / "tests" / name / "__main__.py" for name in ("simulator", "onebot_server", "official_server")),
)
STATIC = ROOT / "adapter" / "ops" / "page" / "static"
# Attributes of the page that are shown or read out.
ATTRIBUTES = {"placeholder", "title", "aria-label", "alt", "data-sure"}
# What people read of errors: their first argument is translated where a command prints it.
ERRORS = (
    *("ConfigError", "CommandError", "OutputError", "complain", "Sentence"),
    *("AccessRefused", "BusUnavailable", "UnsupportedServer", "WrongKeyType"),
)
# What argparse says to users, in any of our versions of Python; the rest is for programmers.
ARGPARSE = {
    *("usage: ", "positional arguments", "options", "show this help message and exit"),
    *("%(prog)s: error: %(message)s\n", "argument %(argument_name)s: %(message)s"),
    *("unrecognized arguments: %s", "the following arguments are required: %s"),
    *("not allowed with argument %s", "one of the arguments %s is required", "ignored explicit argument %r"),
    *("expected one argument", "expected at most one argument", "expected at least one argument"),
    *("expected %s argument", "ambiguous option: %(option)s could match %(matches)s"),
    *("invalid %(type)s value: %(value)r", "invalid choice: %(value)r (choose from %(choices)s)"),
}
# What is the same in every language.
NAMES = {"qqbus", "qqbus status"}
_WORD = re.compile(r"[A-Za-z]{2}")


def texts() -> set[str]:
    """Return all texts of commands, programs, alarms and page."""
    sources = [*sorted((ROOT / "adapter").rglob("*.py")), *PROGRAMS]
    found = {text for path in sources for text in _marked(path, "python", "_", "N_", *ERRORS)}
    found |= {text for path in STATIC.glob("*.js") for text in _marked(path, "javascript", "t")}
    found |= {text for path in STATIC.glob("*.html") for text in _page(path)}
    return (found | ARGPARSE) - NAMES


def _marked(path: Path, method: str, *keywords: str) -> Iterator[str]:
    with path.open("rb") as file:
        for _, text, _, _ in extract(method, file, keywords=dict.fromkeys(keywords)):
            if isinstance(text, str) and text:
                yield text
    if "_(cleandoc(__doc__))" in (source := path.read_text(encoding="utf-8")):
        yield ast.get_docstring(ast.parse(source)) or ""


def _page(path: Path) -> list[str]:
    parser = _Texts()
    parser.feed(path.read_text(encoding="utf-8").partition("<body")[2].partition(">")[2])
    return parser.found


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.found += [text for name, text in attrs if name in ATTRIBUTES and text and _WORD.search(text)]

    def handle_data(self, data: str) -> None:
        if _WORD.search(data.strip()):
            self.found.append(data.strip())
