"""Prove that each finding of tests/FAULTS.md names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.support import ROOT

TABLE = (ROOT / "tests" / "FAULTS.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in TABLE.splitlines() if re.match(r"\| (?:[AB]\d|low)", line)]
# Short forms of folders, which the head of the table names.
FOLDERS = {"page/": "tests/adapter/ops/page/", "bus/": "tests/adapter/bus/"}
FILES = sorted((ROOT / "tests").rglob("test_*.py"))
NAME = re.compile(r"\btest_\w+(?:\.py)?…?")


def functions(path: Path) -> set[str]:
    """Return the names of the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


TESTS = set[str]().union(*map(functions, FILES))


def is_there(name: str) -> bool:
    """Return whether a test or a file of tests has this name; `…` stands for its end."""
    if name.endswith(".py"):
        return any(path.name == name for path in FILES)
    start = name.removesuffix("…")
    return name in TESTS if start == name else any(test.startswith(start) for test in TESTS)


def test_each_finding_has_a_row() -> None:
    found = " ".join(row[0] for row in ROWS)
    wanted = [f"A{number}" for number in range(23)]
    wanted += [f"B{number}" for number in range(1, 21) if number not in {6, 10, 17}]
    assert [name for name in [*wanted, "B99"] if not re.search(rf"\b{name}\b", found)] == []


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_its_tests_exist(row: list[str]) -> None:
    tests = row[1]
    names = NAME.findall(tests)
    assert names or "no test" in tests, tests
    assert [name for name in names if not is_there(name)] == []
    for path in re.findall(r"\b(?:tests|page|bus)/[\w/]+(?:\.py)?", tests):
        folder = next((FOLDERS[short] for short in FOLDERS if path.startswith(short)), "")
        whole = ROOT / (folder + path[path.index("/") + 1 :] if folder else path)
        assert whole.exists(), path
