"""`qqbus completion`: the script by which a shell asks `qqbus` what may follow."""

import argparse

from argcomplete.shell_integration import shellcode

from adapter.cli.terminal import say
from adapter.config import Config


async def completion(_: Config, arguments: argparse.Namespace) -> int:
    """Print the script of argcomplete for a shell."""
    say(shellcode(["qqbus"], shell=arguments.shell).strip("\n"))
    return 0
