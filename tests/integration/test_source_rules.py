"""Rules that hold for the whole source: the mirror of tests, plain words, sizes of files and functions."""

import ast
import re
from pathlib import Path

import pytest

from tests.support import ROOT

# Words that hide who acts, whole and in any case.
VAGUE = re.compile(r"\b(?:somebody|nobody|whoever|told|owes|meanwhile|so many|so long)\b", re.IGNORECASE)
TEXTS = (".py", ".lua", ".js", ".go", ".sh", ".html", ".css", ".md", ".mod")
MAX_FILE, MAX_FUNCTION = 400, 50

# Modules without a test file of their own name, and the test that proves them.
PROVED_BY: dict[str, str] = {}


def sources(*folders: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    """Return the files of these folders, without what npm has installed."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in endings and "node_modules" not in path.parts and "__pycache__" not in path.parts
    ]


def test_each_sentence_has_a_named_subject() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [ROOT / "README.md", *sources("adapter", "consumers", endings=TEXTS)]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if VAGUE.search(line)
    ]
    assert found == []


def test_no_file_and_no_function_is_too_long() -> None:
    long = []
    for path in sources("adapter", "consumers", "tests"):
        source = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        if len(source.splitlines()) > MAX_FILE:
            long.append(f"{name}: {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION and name.parts[0] != "tests":
                    long.append(f"{name}: {node.name}: {lines} lines")
    assert long == []


def modules() -> list[str]:
    """Return the modules that hold code: packages whose __init__ only names things do not."""
    return [
        str(path.relative_to(ROOT))
        for path in sources("adapter", "consumers")
        if path.name not in {"__init__.py", "__main__.py"}
    ]


@pytest.mark.parametrize("module", modules())
def test_each_module_has_its_test(module: str) -> None:
    path = Path(module)
    own = Path("tests") / path.parent / f"test_{path.name}"
    if path.parts[:2] == ("adapter", "contract"):
        own = Path("tests") / "contract" / f"test_{path.name}"
    if module in PROVED_BY:
        assert not (ROOT / own).exists(), f"{own} exists: take {module} off the table"
        assert (ROOT / PROVED_BY[module]).exists(), PROVED_BY[module]
    else:
        assert (ROOT / own).exists(), f"{module}: no {own}, and no line in PROVED_BY"


def test_the_table_names_modules_that_exist() -> None:
    assert [module for module in PROVED_BY if module not in modules()] == []
