"""Write the contract's files: `python -m adapter.contract`; with --check, name those that differ.

For development: the package ships the files, and PyYAML is in the extra `dev` alone.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from adapter.contract.asyncapi import document
from adapter.contract.samples import goldens
from adapter.contract.schemas import all_schemas

_HEAD = "# Made by `python -m adapter.contract` from the vocabulary; not to be edited.\n"
_WIDTH = 110


def generated() -> Iterator[tuple[str, str]]:
    """Yield each file: path below this folder, content."""
    yield "asyncapi.yaml", _HEAD + _yaml(document())
    for name, schema in all_schemas().items():
        yield f"schemas/{name}.json", _json(schema)
    for golden in goldens():
        yield f"golden/{golden.name}.json", _json(golden.as_map())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it comes without types
    """Plain YAML: no anchors, and text of several lines as it is."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 – of the class above
        return True


def _literal(dumper: _Dumper, text: str) -> object:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _literal)


def _yaml(value: object) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH))


def main(folder: Path, *, check: bool) -> int:
    """Write or compare the files. Returns the exit code."""
    files = dict(generated())
    there = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for pattern in ("asyncapi.yaml", "schemas/*.json", "golden/*.json")
        for path in folder.glob(pattern)
    }
    drifted = sorted(name for name in files.keys() | there.keys() if files.get(name) != there.get(name))
    if check:
        for name in drifted:
            sys.stderr.write(f"the contract differs from the vocabulary: {name}; `make contract` writes it\n")
        return 1 if drifted else 0
    for name in drifted:
        path = folder / name
        if name not in files:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
        sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent, check="--check" in sys.argv[1:]))
