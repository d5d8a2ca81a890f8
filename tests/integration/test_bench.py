"""Whether the benchmarks run; what they find is theirs to tell, on a machine that has nothing else to do."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import killed
from tests.bench.figures import Findings, Row, Want, percentile
from tests.bench.report import number, table
from tests.bench.stage import staged
from tests.support import ROOT
from tests.support.helpers import clean_environment


def row(ours: list[float], others: list[float], want: Want | None = None) -> Row:
    return Row("inbound", "polls of 1", "events/s", ours, beside="floor", others=others, want=want)


def test_a_ratio_is_the_median_of_the_ratios_of_pairs() -> None:
    disturbed = row([100.0, 50.0, 200.0], [100.0, 50.0, 100.0])
    assert disturbed.ratio == 1.0
    assert disturbed.value == 100.0


def test_what_is_wanted_holds_for_the_ratio_where_there_is_one() -> None:
    assert row([50.0], [100.0], Want(least=0.8)).met is False
    assert row([90.0], [100.0], Want(least=0.8)).met is True
    assert row([90.0], [], Want(most=91.0)).met is True
    assert row([], [], Want(most=91.0)).met is None


def test_a_row_without_figures_says_why() -> None:
    lines = table([Row("workers", "beside arq", "events/s", [], note="cannot be installed here")])
    assert "cannot be installed here" in lines


@pytest.mark.parametrize(
    ("value", "shown"), [(0.1234, "0.12"), (12.34, "12.3"), (123.4, "123"), (123456.0, "123.5 k")]
)
def test_numbers_are_shown_with_the_digits_that_matter(value: float, shown: str) -> None:
    assert number(value) == shown


def test_percentiles_come_from_the_values_themselves() -> None:
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([5.0], 0.5) == 5.0


def test_quick_runs_measure_once_without_a_warm_up() -> None:
    assert list(Findings(quick=True).turns) == [1]
    assert list(Findings().turns) == [0, 1, 2, 3, 4, 5]


@pytest.mark.long
def test_the_benchmarks_of_both_corridors_run(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "tests.bench", "--quick", "--into", str(tmp_path), "inbound", "outbound"]
    done = subprocess.run(line, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert {row["bench"] for row in found["rows"]} == {"inbound", "outbound"}
    assert all(row["median"] for row in found["rows"])
    assert ET.parse(tmp_path / "bench.svg").getroot().tag.endswith("svg")  # noqa: S314 – our own file


def test_lines_are_those_that_hold_code() -> None:
    source = '"""Words.\n\nMore.\n"""\n\n# why\nx = """a\nb"""  # and\n\n\ndef f():\n    """Words."""\n    return (\n        x\n    )\n'
    assert killed.code_lines(source) == 6


def test_what_is_handled_behind_a_later_one_of_its_chat_is_out_of_order() -> None:
    chats = {"a1": "a", "b1": "b", "a2": "a", "a3": "a"}
    assert killed.disorder(["b1", "a1", "a2", "a1", "a3", "poison"], chats) == 0
    assert killed.disorder(["a3", "a1", "b1", "a2"], chats) == 2


def test_the_readme_counts_the_lines_of_the_bots_as_they_are() -> None:
    readme = (ROOT / "tests" / "bench" / "README.md").read_text(encoding="utf-8")
    for contender in killed.CONTENDERS:
        assert f"\n| {contender.label} | {contender.lines()} | " in readme


@pytest.mark.long
@pytest.mark.anyio
async def test_our_bot_loses_nothing_when_it_is_killed(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        outcome = await killed.Trial(stage, killed.CONTENDERS[0], sys.executable).run(100, 2)
    assert (outcome.lost, outcome.left, len(outcome.tries), outcome.buried) == (0, 0, 5, True)
