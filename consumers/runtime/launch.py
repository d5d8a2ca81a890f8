"""Run the program of a bot in this process: `python -m consumers.runtime.launch FILE [ARG…]`.

A file that calls `worker.main()` runs as it is. For one that only makes a Worker, that is called here.
"""

import ctypes
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

from adapter.i18n import N_, _, choose_language
from consumers.runtime.worker import Worker

_BAD_USE: Final = 2
# PR_SET_PDEATHSIG of prctl(2).
_DEATH_SIGNAL: Final = 1


def main() -> None:
    """Run the file that the command line names."""
    _end_with_parent()
    path = Path(sys.argv[1]).resolve()
    sys.argv = [str(path), *sys.argv[2:]]
    # As `python FILE` has it: modules beside the file come first, not those where the command was typed.
    sys.path[:1] = (
        [str(path.parent)] if sys.path[0] in {"", str(Path.cwd())} else [str(path.parent), sys.path[0]]
    )
    try:
        names = runpy.run_path(str(path), run_name="__main__")
    except Exception as exc:
        if Worker.has_run:
            raise
        # No restart mends a file that cannot be loaded.
        print(_traceback_from(path, exc), end="", file=sys.stderr)
        sys.exit(_BAD_USE)
    if Worker.has_run:
        return
    workers = list({id(one): one for one in names.values() if isinstance(one, Worker)}.values())
    if len(workers) != 1:
        choose_language(os.environ)
        text = (
            N_("{file} makes {count} workers: let it call main() of the one to run")
            if workers
            else N_("{file} makes no Worker: let it make one")
        )
        print(_(text).format(file=path.name, count=len(workers)), file=sys.stderr)
        sys.exit(_BAD_USE)
    workers[0].main()


def _traceback_from(path: Path, exc: Exception) -> str:
    """Format an error without the frames above the file."""
    frame = exc.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != str(path):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(exc), exc, frame))


def _end_with_parent() -> None:
    """Get SIGTERM when the process that watches this one is killed."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    main()
