"""Load the Lua scripts: each is one atomic step, with the fence in front of those that need it."""

from functools import cache
from importlib.resources import files

# Scripts that check the epoch themselves.
UNFENCED = frozenset({"lease"})


@cache
def source(name: str) -> str:
    """Return the text of a script as Redis gets it."""
    folder = files(__package__)
    body = folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")
    return body if name in UNFENCED else folder.joinpath("fence.lua").read_text(encoding="utf-8") + body
