"""`python -m tests.peers [NAME …]`: run the checks of tests/peers/NAME/check.py, by default of all.

Each check is a coroutine `check()` that raises AssertionError for what a peer or a server did wrong.
"""

import asyncio
import importlib
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Run checks one after another; return 1 if one fails, 2 for an unknown name."""
    known = sorted(file.parent.name for file in HERE.glob("*/check.py"))
    if unknown := set(names) - set(known):
        print(f"no peers {', '.join(sorted(unknown))}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = False
    for name in names or known:
        began = time.monotonic()
        try:
            asyncio.run(importlib.import_module(f"tests.peers.{name}.check").check())
        except AssertionError as error:
            failed = True
            print(f"{name}: FAILED: {error}", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
