"""Load the Lua scripts: each is one atomic step, with the fence in front of those that need it.

All are read at the import: the process may have no file descriptor left when it first needs one, and an
upgrade in place must not mix two versions.
"""

from importlib.resources import files

# Scripts that check the epoch themselves, or write nothing that others see.
UNFENCED = frozenset({"lease", "clipped", "slice", "groups", "poison", "redrive", "redeliver"})
# Scripts that publish results.
PUBLISHING = frozenset({"settle", "reject"})
# Scripts that compare ids of a stream or read XINFO.
INFORMED = frozenset({"heal_ids", "read", "removed", "trim", "groups"})
_TEXTS = {
    file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
    for file in files(__package__).iterdir()
    if file.name.endswith(".lua")
}


def source(name: str) -> str:
    """Return the text of a script as Redis gets it."""
    parts = (
        *(() if name in UNFENCED else ("fence",)),
        *(("stream_info",) if name in INFORMED else ()),
        *(("own_results",) if name in PUBLISHING else ()),
        name,
    )
    return "".join(_TEXTS[part] for part in parts)
