"""Run the gateway: `python -m consumers.onebot --connect ws://127.0.0.1:8080/onebot/v11/ws`."""

import gc
import sys

from adapter import ConfigError
from adapter.i18n import terminal_texts, translate_error
from consumers.onebot.gateway import SHUTDOWN_SECONDS, Gateway
from consumers.onebot.options import parse_options
from consumers.runtime.holding_worker import HoldingWorker
from consumers.runtime.runtime import WorkerOptions

# Allocations between two searches for cycles, and how rarely the older ones are searched: events have no
# cycles, and searches took a fifth of the processor time of each.
_GC_THRESHOLDS = (20_000, 20, 50)


def main() -> None:
    """Run until SIGTERM or SIGINT; exits with 2 for bad use."""
    try:
        with terminal_texts():
            options = parse_options()
    except ConfigError as exc:
        print(f"python -m consumers.onebot: {translate_error(exc)}", file=sys.stderr)
        sys.exit(2)
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    runtime_options = WorkerOptions(shutdown_timeout=SHUTDOWN_SECONDS)
    HoldingWorker(options.app, Gateway(options), options=runtime_options).main()


if __name__ == "__main__":
    main()
