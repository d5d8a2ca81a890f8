"""`qqbus contract`: the contract of this version, for people and for generators."""

import argparse
from importlib.resources import files
from importlib.resources.abc import Traversable

from adapter.cli.terminal import say
from adapter.config import Config


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("contract", help="print the contract: AsyncAPI, or one of its JSON Schemas")
    schemas = sorted(path.name.removesuffix(".json") for path in _folder("schemas"))
    one.add_argument("--schema", choices=schemas, metavar="NAME", help=", ".join(schemas))
    one.set_defaults(command=contract)


async def contract(_: Config, arguments: argparse.Namespace) -> int:
    """Print the document."""
    name = f"schemas/{arguments.schema}.json" if arguments.schema else "asyncapi.yaml"
    say(files("adapter.contract").joinpath(name).read_text(encoding="utf-8").rstrip("\n"))
    return 0


def _folder(name: str) -> list[Traversable]:
    return list(files("adapter.contract").joinpath(name).iterdir())
