"""`python -m tests.simulator`: a SmartQQ on a port until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal

from .simulator import Simulator


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    parser.add_argument(
        "--profile", choices=("e1", "e3"), default="e3", help="the service of 2015 or of 2017"
    )
    parser.add_argument(
        "--auto-scan", action="store_true", help="codes are scanned and confirmed by themselves"
    )
    parser.add_argument("--poll-seconds", type=float, default=60.0, help="when an idle poll is answered")
    parser.add_argument("--strict", action="store_true", help="want the exact headers of a browser")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Simulator(
        arguments.profile,
        auto_scan=arguments.auto_scan,
        port=arguments.port,
        poll_seconds=arguments.poll_seconds,
        strict=arguments.strict,
    ) as sim:
        print(sim.url, flush=True)
        await stop.wait()


def main() -> None:
    """Run until told to stop."""
    asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
