"""`qqbus demo` and `qqbus sim`: the programs of the extra `sim`, in the place of this process."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from adapter.cli.parser import SIMULATORS
from adapter.config import Config
from adapter.errors import ConfigError

# The root of the checkout, or the folder of an installation.
_ROOT = Path(__file__).resolve().parents[3]
# Packages that only the extra `sim` brings.
_NEEDED = ("aiohttp", "cryptography", "honcho")
# Run a module as `python -m` does. Until it handles signals itself Ctrl-C ends it without a traceback.
_LAUNCH: Final = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
# Run a simulator under the name that was typed. It knows nothing of qqbus: its texts go through `gettext`.
_LAUNCH_SIMULATOR: Final = """
import importlib, signal, sys
from adapter.i18n import terminal_texts
signal.signal(signal.SIGINT, signal.SIG_DFL)
del sys.argv[0]
with terminal_texts():
    sys.exit(importlib.import_module(sys.argv[0] + ".__main__").main(sys.argv.pop(1)))
"""


async def demo(_: Config, arguments: argparse.Namespace) -> int:
    """Run the demo."""
    flags = {"--no-echo": arguments.no_echo, "--any-ports": arguments.any_ports}
    bot = ("--bot", arguments.bot) if arguments.bot else ()
    given = [name for name, is_given in flags.items() if is_given]
    return _become(_LAUNCH, "demo", "--network", arguments.network, *bot, *given)


async def sim(_: Config, arguments: argparse.Namespace) -> int:
    """Run the simulator of a network."""
    name = f"qqbus sim {arguments.network}"
    return _become(_LAUNCH_SIMULATOR, SIMULATORS[arguments.network], name, *arguments.arguments)


def _become(launch: str, module: str, *arguments: str) -> int:
    """Replace this process by a module of the simulators' package.

    Raises ConfigError if the extra is not installed.
    """
    is_checkout = (_ROOT / "pyproject.toml").exists() and (_ROOT / "tests" / "simulator").exists()
    if not all(map(find_spec, _NEEDED)):
        raise ConfigError("the simulators need the extra `sim`: pip install 'qqbus[sim]'")
    if is_checkout:
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    package = "tests" if is_checkout else "qqbus_sim"
    # -P: a folder `tests` where the command was typed is not meant.
    line = [sys.executable, "-P", "-c", launch, f"{package}.{module}", *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, line)  # noqa: S606 – our own modules
