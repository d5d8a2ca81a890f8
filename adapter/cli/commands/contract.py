"""`qqbus contract`: the contract of this version, for people and for generators."""

import argparse
from importlib.resources import files

from adapter.cli.terminal import say
from adapter.config import Config


async def contract(_: Config, arguments: argparse.Namespace) -> int:
    """Print the AsyncAPI document or one schema."""
    name = f"schemas/{arguments.schema}.json" if arguments.schema else "asyncapi.yaml"
    say(files("adapter.contract").joinpath(name).read_text(encoding="utf-8").rstrip("\n"))
    return 0
