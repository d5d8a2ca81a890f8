"""Every benchmark that the command offers exists."""

import inspect
from importlib import import_module

import pytest

from tests.bench.__main__ import ALL, BY_NAME


@pytest.mark.parametrize("name", [*ALL, *BY_NAME])
def test_a_benchmark_has_its_module(name: str) -> None:
    assert inspect.iscoroutinefunction(import_module(f"tests.bench.{name}").run)
