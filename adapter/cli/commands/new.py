"""`qqbus new`: write a project with a bot, its test, and the files that run it."""

import argparse
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

from adapter.cli.terminal import say
from adapter.config import Config
from adapter.errors import ConfigError
from adapter.i18n import _

# The name of a project is that of its application, of its package and of its service.
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_FILES: Final = (
    "bot.py",
    "test_bot.py",
    "pyproject.toml",
    "Makefile",
    "Procfile",
    "compose.yaml",
    "bot.service",
)


async def new(_config: Config, arguments: argparse.Namespace) -> int:
    """Write the project into a new folder."""
    name: str = arguments.name
    if not _NAME.fullmatch(name) or name == "adapter":
        raise ConfigError(
            "{name!r} cannot name a bot: 1 to 40 of a-z 0-9 -, beginning with a letter", name=name
        )
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError as exc:
        raise ConfigError("{folder} exists already: give another name, or remove it", folder=folder) from exc
    except OSError as exc:
        raise ConfigError(
            "{folder} cannot be made: {strerror}", folder=folder, strerror=exc.strerror
        ) from exc
    values = {"name": name, "python": sys.executable, "folder": str(folder.resolve())}
    template = files("adapter.cli").joinpath("template")
    for source in _FILES:
        text = template.joinpath(f"{source}.txt").read_text(encoding="utf-8").format_map(values)
        (folder / source.replace("bot.service", f"{name}.service")).write_text(text, encoding="utf-8")
    say(
        f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}",
        f"  cd {folder}",
        "  make test        # " + _("its tests"),
        "  make run         # " + _("the bot, restarted whenever a file is saved"),
    )
    return 0
