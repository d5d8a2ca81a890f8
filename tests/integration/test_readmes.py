"""The READMEs: Chinese and English say the same, no link is dead, and each command is one that a test runs."""

import re
import shlex
from pathlib import Path

import pytest

from adapter.cli.parser import make_parser
from tests.support import ROOT

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "node_modules", ".venv-peers"} & set(path.relative_to(ROOT).parts)
)
PAIRS = [(path.with_name("README.md"), path) for path in PAGES if path.name == "README.zh-CN.md"]
MAX_LINES = 150

_FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# A command in a sentence, with its settings.
_INLINE = re.compile(
    r"`((?:[A-Z_]+=\S+ )*(?:qqbus|honcho|redis-cli|promtool|systemctl|ssh|python|docker|make|npm) [^`]+)`"
)
# What stands for a word of the reader's in such a command, and a word in its place that the parser takes.
_PLACES = {"ROLE": "worker", "N": "2"}
_HEADING = re.compile(r"(?m)^(#+) ")

# What begins a command in a README, and the tests that run it. `qqbus` commands are parsed besides.
PROVED = {
    "qqbus demo": "tests/integration/test_wheel.py",
    "qqbus sim": "tests/integration/test_wheel.py",
    "qqbus run": "tests/integration/test_readme_blocks.py",
    "qqbus": "tests/adapter/cli/commands/test_streams.py",
    "make demo": "tests/integration/test_readme_blocks.py",
    "python -m tests.simulator": "tests/integration/test_simulator_control.py",
    "python -m tests.onebot_server": "tests/integration/test_onebot_server_control.py",
    "python -m tests.official_server": "tests/integration/test_official_server_control.py",
    "python -m tests.chaos": "tests/integration/test_chaos_checker.py",
    "python -m tests.bench": "tests/integration/test_bench.py",
    "python -m consumers.onebot": "tests/consumers/onebot/test_hub.py",
    "redis-cli": "tests/integration/test_readme_blocks.py",
    "export QQBUS_SMARTQQ_URL": "tests/integration/test_readme_blocks.py",
    "honcho start": "tests/integration/test_deploy.py",
    "promtool": "tests/integration/test_deploy.py",
    "python -m consumers.archive": "tests/consumers/test_archive.py",
    "python -m consumers.commands": "tests/consumers/test_commands.py",
    "python -m consumers.console": "tests/consumers/test_console.py",
    "python -m consumers.echo": "tests/consumers/test_echo.py",
    "python -m consumers.mcp": "tests/consumers/mcp/test_server.py",
    "python -m consumers.relay": "tests/consumers/test_relay.py",
    "python -m consumers.webhook": "tests/consumers/test_webhook.py",
}
# Commands that no test can run, and why.
NOT_RUN = {
    "pip install": "needs a package index; test_wheel.py installs the wheel without one",
    ". .venv/bin/activate": "changes the reader's own shell",
    "make": "is how the tests, the figures and the peers are started",
    "curl": "the control interfaces are driven over HTTP by the tests of each simulator",
    "docker": "needs an engine and a registry; test_deploy.py has the files checked",
    "podman": "likewise",
    "systemctl": "needs systemd; test_deploy.py has the units checked",
    "ssh": "needs another machine",
    "npm": "needs a registry; test_languages.py runs the program",
}


def prose(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def commands(path: Path) -> list[str]:
    """Return the command lines of a page: indented ones and those of shell fences, without comments."""
    text = prose(path)
    shell = [line for kind, body in _FENCE.findall(text) if kind == "sh" for line in body.splitlines()]
    rest = _FENCE.sub("", text)
    indented = re.findall(r"(?m)(?:(?<=\n\n)|(?<=\n)) {4}(\S.*)$", rest)
    lines = [re.sub(r"\s+#( .*)?$", "", line).strip() for line in [*indented, *shell]]
    # Settings before a command.
    lines = [re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line) for line in lines]
    return [line for line in lines if re.match(r"[.a-zA-Z]", line)]


def inline_commands(path: Path) -> list[str]:
    """Return the commands in the sentences of a page, without settings.

    The changelog and the tables of tests name parts of commands.
    """
    if path.name in {"CHANGELOG.md", "FAULTS.md", "NEWCOMERS.md"}:
        return []
    lines = _INLINE.findall(_FENCE.sub("", prose(path)))
    return [re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line) for line in lines]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"(?m)^#+ (.+)$", _FENCE.sub("", prose(path)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(path: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", prose(path))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), f"{path.name}: {target}"
        assert not anchor or anchor in anchors(page), f"{path.name}: {target}"


def test_the_tests_name_what_they_skipped() -> None:
    """What a machine lacks for the whole proof is said at the end, with the reason of each skip."""
    recipe = re.search(r"(?m)^test:\n(?:\t.*\n)+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert recipe
    assert re.search(r" -rfE?s\b", recipe[0]), "-rs alone would leave out the names of failed tests"


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda path: str(path.relative_to(ROOT)))
def test_both_languages_have_the_same_headings_and_code(english: Path, chinese: Path) -> None:
    first, second = prose(english), prose(chinese)
    assert _HEADING.findall(_FENCE.sub("", first)) == _HEADING.findall(_FENCE.sub("", second))
    assert _FENCE.findall(first) == _FENCE.findall(second)
    assert commands(english) == commands(chinese)
    assert f"({chinese.name})" in first.partition("\n## ")[0]
    assert f"({english.name})" in second.partition("\n## ")[0]
    rows = [len(re.findall(r"(?m)^\|", text)) for text in (first, second)]
    assert rows[0] == rows[1], "rows of tables"


def test_the_first_page_is_short_and_shows_the_page_at_once() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        lines = prose(ROOT / name).splitlines()
        assert len(lines) <= MAX_LINES
        assert any(line.startswith("![") for line in lines[:10])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_is_run_by_a_test_or_named_as_one_that_cannot_be(path: Path) -> None:
    for line in [*commands(path), *inline_commands(path)]:
        start = next((one for one in (*PROVED, *NOT_RUN) if line.startswith(one)), None)
        assert start, f"{path.name}: {line}"
        if start in PROVED:
            assert (ROOT / PROVED[start]).exists(), PROVED[start]
        if line.startswith("qqbus "):
            # It exits if the command line has changed, and for --help.
            words = [_PLACES.get(word, word) for word in shlex.split(line)[1:] if word not in {"&", "|"}]
            words += ["--help"] if len(words) == 1 else []  # the name of a command in a sentence
            try:
                make_parser().parse_args(words)
            except SystemExit as exc:
                assert exc.code == 0, line  # noqa: PT017 – the way in which argparse says so


@pytest.mark.parametrize("name", ["FAULTS.md", "NEWCOMERS.md"])
def test_each_test_that_a_table_names_exists(name: str) -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for test, cut in re.findall(r"`(test_\w+)(…?)`", prose(ROOT / "tests" / name)):
        assert re.search(rf"def {test}{'' if cut else '[(]'}", sources), test
