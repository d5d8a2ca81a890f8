"""Proof of adapter/contract: the files are what the vocabulary says, and the vocabulary is what the bus gets."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgpack
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.bus.bus import Bus, Fence, pack_batch
from adapter.codec.address import parse_address
from adapter.codec.dead_letters import DeadLetter, encode_dead_letter
from adapter.codec.inbound import EventRecord
from adapter.codec.outbound import decode_request
from adapter.contract import schemas
from adapter.contract.__main__ import generated, main
from adapter.contract.asyncapi import document
from adapter.contract.samples import ACCOUNT, Golden, goldens
from adapter.contract.tables import ADDRESS, CODES, COMMANDS, INBOUND, NOTICES, TYPES, Schema
from adapter.contract.validate import Validator
from adapter.errors import SchemaError
from adapter.events import ChatKind, Status
from tests.support import ROOT
from tests.support.helpers import clean_environment

FOLDER = ROOT / "adapter" / "contract"
GOLDENS = {golden.name: golden for golden in goldens()}
SCHEMAS = schemas.all_schemas()


def texts(golden: Golden) -> dict[str, str]:
    return {name: value if isinstance(value, str) else "" for name, value in golden.fields.items()}


def body(golden: Golden) -> Any:
    packed = golden.fields["body"]
    assert isinstance(packed, bytes)
    return json.loads(packed) if packed.startswith(b"{") else msgpack.unpackb(packed)


def body_name(golden: Golden) -> str:
    if golden.stream == "outbound":
        return "body.request"
    family = texts(golden)["type"].partition(".")[0]
    return f"body.{'notice' if family == 'request' else family}"


def closed(schema: Any) -> Any:
    """Return the schema without room for unknown names, except where a later version may add a kind."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    return (
        made | {"additionalProperties": False}
        if "properties" in schema and "not" not in str(schema)
        else made
    )


# --- drift -------------------------------------------------------------------------------------------


def test_the_files_are_those_that_the_vocabulary_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FOLDER, check=True) == 0, capsys.readouterr().err


MUTATIONS = {
    "a field of a segment": (
        "content.py",
        '    file_path: str = ""',
        '    file_path: str = ""\n    width: int = 0',
    ),
    "a state": ("events.py", '    STOPPED = "stopped"', '    STOPPED = "stopped"\n    BROKEN = "broken"'),
    "the name of a segment": ("codec/segments.py", '"type": "face"', '"type": "emoji"'),
    "a field of a result": ("codec/outbound.py", '*("code", result.code)', '*("reason", result.code)'),
    "the version": ("events.py", 'CONTRACT_VERSION: Final = "1"', 'CONTRACT_VERSION: Final = "2"'),
    "a file by hand": ("contract/asyncapi.yaml", "asyncapi: ", "asyncapi:  "),
    "a file too many": ("contract/schemas/left.json", "", "{}"),
}


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_drift_fails_the_check(tmp_path: Path, name: str) -> None:
    file, old, new = MUTATIONS[name]
    shutil.copytree(ROOT / "adapter", tmp_path / "adapter", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "adapter" / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    assert old in before
    path.write_text(before.replace(old, new, 1) if old else new, encoding="utf-8")
    line = [sys.executable, "-m", "adapter.contract", "--check"]
    done = subprocess.run(
        line, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "the contract differs" in done.stderr


def test_writing_makes_good_what_has_drifted(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "left.json").write_text("{}", encoding="utf-8")
    assert main(tmp_path, check=False) == 0
    assert main(tmp_path, check=True) == 0
    assert not (tmp_path / "schemas" / "left.json").exists()


def test_no_two_files_have_one_name() -> None:
    names = [name for name, _ in generated()]
    assert len(names) == len(set(names))


# --- golden entries ----------------------------------------------------------------------------------


def test_there_is_a_golden_entry_for_every_type_and_every_code() -> None:
    inbound = {texts(golden)["type"] for golden in GOLDENS.values() if golden.stream == "inbound"}
    assert inbound == set(TYPES)
    results = {
        (texts(golden)["status"], texts(golden)["code"])
        for golden in GOLDENS.values()
        if golden.stream == "results"
    }
    assert results == {(status.value, code) for status, codes in CODES.items() for code in codes}


@pytest.mark.parametrize("name", list(GOLDENS))
def test_a_golden_entry_fits_its_schema_and_nothing_is_left_over(name: str) -> None:
    golden = GOLDENS[name]
    checked = [(SCHEMAS[golden.stream], texts(golden))]
    if "body" in golden.fields:
        checked.append((SCHEMAS[body_name(golden)], body(golden)))
    for schema, value in checked:
        jsonschema.Draft7Validator(closed(schema)).validate(value)
        assert not list(Validator(schema).problems(value))


@pytest.mark.parametrize("name", [name for name, golden in GOLDENS.items() if golden.stream == "outbound"])
def test_the_adapter_understands_the_golden_requests(name: str) -> None:
    fields = {
        key.encode(): value if isinstance(value, bytes) else value.encode()
        for key, value in GOLDENS[name].fields.items()
    }
    request = decode_request("1-0", fields, "qq")
    assert request.segments or request.operation


@pytest.mark.anyio
async def test_the_append_writes_the_golden_events_byte_for_byte(bus: Bus) -> None:
    wanted = [golden.fields for golden in GOLDENS.values() if golden.stream == "inbound"]
    order = ("id", "type", "time", "chat", "sender", "self", "text", "body")
    for golden in wanted:
        draft = EventRecord(*(golden[name] for name in order))  # type: ignore[arg-type]
        seq = int(str(golden["seq"]))
        await bus.client.hset(bus.keys("ids:seq"), ACCOUNT, str(seq - 1))
        await bus.append(Fence(7, "me"), ACCOUNT, pack_batch([draft]), 0)
    rows: Any = await bus.client.xrange(bus.keys("inbound"))
    for golden, (_, fields) in zip(wanted, rows, strict=True):
        written = [(name.decode(), value) for name, value in fields.items()]
        assert written == [(n, v if isinstance(v, bytes) else v.encode()) for n, v in golden.items()]


def test_the_adapter_buries_entries_with_the_fields_of_the_golden_letter() -> None:
    letter = DeadLetter("qq:outbound", "1-0", {b"text": b"x"}, "g", "c", "schema.invalid", "why")
    assert encode_dead_letter(letter, 0.0)[::2] == list(GOLDENS["dead"].fields)


# --- the vocabulary ----------------------------------------------------------------------------------


def literals(call: str) -> Iterator[list[Any]]:
    """Return the constant arguments of every call of that name in the adapter."""
    for path in (ROOT / "adapter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call:
                yield [argument.value for argument in node.args if isinstance(argument, ast.Constant)]


def test_no_code_is_given_that_the_contract_does_not_know() -> None:
    known = {code for codes in CODES.values() for code in codes}
    given = {arguments[0] for arguments in literals("Outcome") if arguments}
    assert given - known == set()
    assert len(given) > 5


def test_no_notice_is_made_that_the_contract_does_not_know() -> None:
    made = {arguments[0] for arguments in literals("Notice") if arguments}
    made |= {arguments[0] for call in ("_notice", "_of_friend") for arguments in literals(call) if arguments}
    assert made - set(NOTICES) == set()
    assert {"typing", "shake", "file", "other"} <= made


def test_the_commands_are_those_that_the_adapter_obeys() -> None:
    obeyed = {
        pattern.value.value
        for node in ast.walk(ast.parse((ROOT / "adapter" / "control.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.match_case)
        for pattern in ast.walk(node.pattern)
        if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant)
    }
    assert obeyed == set(COMMANDS)


@given(st.from_regex(rf"\A{ADDRESS}\Z"))
@settings(max_examples=50)
def test_the_schemas_address_is_the_one_that_is_read(text: str) -> None:
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text", ["", "friend:", "friend:01", "group:x", "temp:1", "temp:1@friend:2", "friend:1 "]
)
def test_what_is_no_address_is_none_in_the_schema_either(text: str) -> None:
    with pytest.raises(SchemaError):
        parse_address(text)
    assert list(Validator({"pattern": f"^{ADDRESS}$"}).problems(text))


# --- our sentences beside the reference -------------------------------------------------------------


VALIDATORS = {name: Validator(schema) for name, schema in SCHEMAS.items()}


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_the_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMAS[name])


SENTENCES: dict[str, tuple[Schema, object, list[str]]] = {
    "a field of the value itself": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        {"a": 1},
        ["b is missing", "a is not of type string"],
    ),
    "the value itself": ({"type": "object"}, [], ["it is not of type object"]),
    "an item": ({"items": {"enum": ["x", "y"]}}, ["x", "z"], ["[1] is not one of x, y"]),
    "a constant": ({"properties": {"a": {"const": "1"}}}, {"a": "2"}, ["a is not '1'"]),
    "a form": ({"properties": {"a": {"pattern": "^x$"}}}, {"a": "x\n"}, ["a is not of the form ^x$"]),
    "too few": ({"type": "array", "minItems": 1}, [], ["it breaks the rule minItems: 1"]),
    "the nearest of several": (
        {"anyOf": [{"type": "null"}, {"properties": {"a": {"properties": {"b": {"type": "null"}}}}}]},
        {"a": {"b": 1}},
        ["a.b is not of type null"],
    ),
}


@pytest.mark.parametrize("name", list(SENTENCES))
def test_a_sentence_names_the_place_and_the_rule(name: str) -> None:
    schema, value, sentences = SENTENCES[name]
    assert list(Validator(schema).problems(value)) == sentences


def test_a_name_for_the_whole_begins_each_sentence() -> None:
    segments = {"segments": [{"type": "text", "data": {}}]}
    (sentence,) = VALIDATORS["body.request"].problems(segments, "body")
    assert sentence == "body.segments[0].data.text is missing"


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["text", "face", "0", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def mutated(value: Any, draw: st.DrawFn) -> Any:
    """One place of the value is something else, or missing."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 4)):
            return {key: item for key, item in value.items() if key != name}
        return value | {name: mutated(value[name], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(value[at], draw), *value[at + 1 :]]
    return draw(junk)


@given(st.data())
@settings(max_examples=300)
def test_values_that_have_problems_are_those_that_the_reference_refuses(data: st.DataObject) -> None:
    golden = GOLDENS[data.draw(st.sampled_from(sorted(GOLDENS)))]
    if "body" in golden.fields and data.draw(st.booleans()):
        name, value = body_name(golden), body(golden)
    else:
        name, value = golden.stream, texts(golden)
    value = data.draw(st.composite(lambda draw: mutated(value, draw))())
    fits = jsonschema.Draft7Validator(SCHEMAS[name]).is_valid(value)
    assert (not list(VALIDATORS[name].problems(value))) is fits


# --- the document ------------------------------------------------------------------------------------


def test_the_yaml_says_what_the_document_says() -> None:
    text = dict(generated())["asyncapi.yaml"]
    assert yaml.safe_load(text) == json.loads(json.dumps(document()))
    assert "description: |" in text, "text of several lines reads as text"


def test_every_chat_kind_and_status_of_the_vocabulary_stands_in_the_tables() -> None:
    assert {name.partition(".")[2] for name in TYPES if name.startswith("message.")} == set(ChatKind)
    assert set(CODES) == set(Status)
    assert INBOUND.names[-1] == "body"
