"""The gateway with a short wait for confirmations: `python -m tests.chaos.fast_gateway OPTIONS`."""

from dataclasses import replace

from consumers.onebot import __main__ as program
from consumers.onebot.options import parse_options

# Seconds after which a bot that confirms nothing is closed.
CONFIRM = 3.0


if __name__ == "__main__":
    program.parse_options = lambda: replace(parse_options(), confirm_seconds=CONFIRM)  # type: ignore[attr-defined]
    program.main()
