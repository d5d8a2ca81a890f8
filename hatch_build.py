"""Compile the catalogues of translations, for wheels and for editable installations alike."""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOCALE = Path("adapter") / "locale"


class CompileCatalogues(BuildHookInterface):  # type: ignore[type-arg]
    """Write a .mo beside each .po, and put it into what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are collected."""
        if self.target_name == "sdist":
            return
        for source in sorted((Path(self.root) / LOCALE).glob("*/LC_MESSAGES/*.po")):
            compiled = source.with_suffix(".mo")
            with source.open("rb") as file:
                catalogue = read_po(file, locale=source.parts[-3])
            with compiled.open("wb") as file:
                write_mo(file, catalogue)
            build_data["artifacts"].append(f"/{compiled.relative_to(self.root).as_posix()}")
