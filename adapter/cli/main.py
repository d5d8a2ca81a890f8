# PYTHON_ARGCOMPLETE_OK
"""Entry point of `qqbus`."""

import os
import sys

from adapter.cli.errors import OutputError
from adapter.cli.parser import make_parser
from adapter.cli.terminal import complain, open_standard_streams, output_errors
from adapter.i18n import terminal_texts

FAILED = 1
# As shells count it: 128 and the number of SIGINT.
INTERRUPTED = 130


def main() -> None:
    """Run a command and exit.

    Exit codes: 0 done, 1 failed, 2 bad use or configuration, 3 no Redis.
    """
    open_standard_streams()
    code: str | int | None
    try:
        code = _run()
    except SystemExit as exc:  # argparse: help was printed, or the arguments are wrong
        code = exc.code
    except KeyboardInterrupt:  # while the command is being loaded
        code = INTERRUPTED
    try:
        with output_errors():
            pass  # a help text may still be in the buffer
    except BrokenPipeError:
        pass
    except OutputError as exc:
        complain(exc.text, **exc.values)
        code = FAILED
    sys.exit(code)


def _run() -> int:
    with terminal_texts():
        parser = make_parser()
        if "_ARGCOMPLETE" in os.environ:
            import argcomplete  # noqa: PLC0415 – the shell asks for it, at the tab key alone

            argcomplete.autocomplete(parser)
        arguments = parser.parse_args()
        if not arguments.run:
            parser.print_help()
            return 0
    from adapter.cli.runner import run_command  # noqa: PLC0415 – help and completion need no event loop

    return run_command(arguments)
