"""Load the Lua scripts: each is one atomic step, with the fence in front of those that need it.

All are read at the import: the process may have no file descriptor left when it first needs one, and an
upgrade in place must not mix two versions.
"""

from importlib.resources import files

# Scripts that check the epoch themselves, or write nothing that others see.
UNFENCED = frozenset({"lease", "read", "slice", "redrive", "redeliver"})
_TEXTS = {
    file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
    for file in files(__package__).iterdir()
    if file.name.endswith(".lua")
}


def source(name: str) -> str:
    """Return the text of a script as Redis gets it."""
    return _TEXTS[name] if name in UNFENCED else _TEXTS["fence"] + _TEXTS[name]
