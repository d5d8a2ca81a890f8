"""Helpers of the tests: servers, processes, and where the checkout stands."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
