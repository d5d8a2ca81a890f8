"""Run the gateway: `python -m consumers.onebot --connect ws://127.0.0.1:8080/onebot/v11/ws`."""

import sys

from adapter import ConfigError
from consumers.onebot.gateway import SHUTDOWN_SECONDS, Gateway
from consumers.onebot.options import parse_options
from consumers.runtime.holding_worker import HoldingWorker
from consumers.runtime.runtime import WorkerOptions


def main() -> None:
    """Run until SIGTERM or SIGINT; exits with 2 for bad use."""
    try:
        options = parse_options()
    except ConfigError as exc:
        print(f"python -m consumers.onebot: {exc}", file=sys.stderr)
        sys.exit(2)
    runtime_options = WorkerOptions(shutdown_timeout=SHUTDOWN_SECONDS)
    HoldingWorker(options.app, Gateway(options), options=runtime_options).main()


if __name__ == "__main__":
    main()
