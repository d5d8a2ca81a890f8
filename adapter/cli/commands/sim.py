"""`qqbus demo` and `qqbus sim`: the programs of the extra `sim`, in the place of this process."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from adapter.cli.parser import SIMULATORS
from adapter.config import Config
from adapter.errors import ConfigError

# The root of the checkout, or the folder of an installation.
_ROOT = Path(__file__).resolve().parents[3]
# Packages that only the extra `sim` brings.
_NEEDED = ("aiohttp", "cryptography", "honcho")
# Run a module as `python -m` does. Until it handles signals itself Ctrl-C ends it without a traceback.
_LAUNCH = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


async def demo(_: Config, arguments: argparse.Namespace) -> int:
    """Run the demo."""
    flags = {"--no-echo": arguments.no_echo, "--any-ports": arguments.any_ports}
    bot = ("--bot", arguments.bot) if arguments.bot else ()
    given = [name for name, is_given in flags.items() if is_given]
    return _become("demo", "--network", arguments.network, *bot, *given)


async def sim(_: Config, arguments: argparse.Namespace) -> int:
    """Run the simulator of a network."""
    return _become(SIMULATORS[arguments.network], *arguments.arguments)


def _become(module: str, *arguments: str) -> int:
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
    line = [sys.executable, "-P", "-c", _LAUNCH, f"{package}.{module}", *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, line)  # noqa: S606 – our own modules
