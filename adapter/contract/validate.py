"""Check values by the contract's JSON Schemas, in sentences that name the field. Pure."""

import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Any

import fastjsonschema
from fastjsonschema import JsonSchemaValueException, JsonSchemaValuesException

from adapter.i18n import Sentence

Schema = Mapping[str, Any]

# What fastjsonschema calls the value itself where the caller gives it no name.
_UNNAMED = "data"


class Validator:
    """One schema, compiled at its first use: that takes about 15 ms."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    @cached_property
    def _check(self) -> Any:
        return fastjsonschema.compile(
            dict(self._schema), use_default=False, use_formats=False, fast_fail=False
        )

    def problems(self, value: object, where: str = "") -> Iterator[str]:
        """Yield what is wrong with a value. `where` begins each sentence."""
        try:
            self._check(value, name_prefix=where)
        except JsonSchemaValuesException as exc:
            for error in exc.errors:
                place = str(error.name)
                yield from _sentences(error, place if where else place.removeprefix(_UNNAMED).lstrip("."))


def _sentences(error: JsonSchemaValueException, where: str) -> Iterator[str]:
    rule, subject = error.rule_definition, where or "it"
    match error.rule:
        case "required":
            missing = (f"{where}.{name}".lstrip(".") for name in rule if name not in error.value)
            yield from (Sentence("{name} is missing", name=name) for name in missing)
        case "type":
            yield Sentence("{subject} is not of type {rule}", subject=subject, rule=rule)
        case "const":
            yield Sentence("{subject} is not {rule!r}", subject=subject, rule=rule)
        case "enum":
            yield Sentence("{subject} is not one of {rule}", subject=subject, rule=", ".join(map(str, rule)))
        case "pattern":
            yield Sentence("{subject} is not of the form {rule}", subject=subject, rule=rule)
        case "anyOf":
            yield _nearest([[*_choice(json.dumps(one)).problems(error.value, where)] for one in rule])
        case _:
            yield Sentence(
                "{subject} breaks the rule {name}: {rule}", subject=subject, name=error.rule, rule=rule
            )


@cache
def _choice(schema: str) -> Validator:
    """Return the validator of a schema, by its JSON: there are few."""
    return Validator(json.loads(schema))


def _nearest(misses: list[list[str]]) -> str:
    """Return the nearest miss: the longest path into the value."""
    return max(misses, key=lambda sentences: sentences[0].partition(" ")[0].count("."))[0]
