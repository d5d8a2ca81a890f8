"""The scripts, each one atomic step, with the epoch check put in front of those that need it."""

from functools import cache
from importlib.resources import files

UNFENCED = frozenset({"lease"})


@cache
def source(name: str) -> str:
    """The text of a script as the server gets it."""
    folder = files(__package__)
    body = folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")
    return body if name in UNFENCED else folder.joinpath("fence.lua").read_text(encoding="utf-8") + body
