"""Commands from a chat: who may do what, and that nothing but the list is ever run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapter.codec.inbound import EventRecord, RecordContext, encode_message
from adapter.content import Text
from adapter.errors import ConfigError
from adapter.events import Address, ChatKind, ContactRef, Identity, Message, Participants
from consumers.commands import MAX_OUTPUT, MAX_REPLY, Rules, output_of, split_output
from tests.support.bus_events import Desk, desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

RULES = """
administrators = ["qq:10010", "friend:3"]

[commands.say]
argv = ["printf", "%s|", "said", "{1}"]
arguments = ["[^-].{0,30}"]
who = "everybody"
help = "says a word"

[commands.secret]
argv = ["echo", "the secret"]

[commands.count]
argv = ["seq", "400"]

[commands.sleep]
argv = ["sh", "-c", "echo begun; sleep 60 & wait"]
seconds = 0.3

[commands.fail]
argv = ["false"]
"""


@asynccontextmanager
async def commands(desk: Desk, tmp_path: Path) -> AsyncIterator[None]:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    async with program(desk, "-m", "consumers.commands", str(rules)):
        await wait_until(lambda: desk.has_group("commands"), "the group")
        yield


async def _answers(desk: Desk, *said: EventRecord) -> list[str]:
    before = len(await desk.texts())
    await desk.publish(*said)
    await wait_until(lambda: desk.all_done("commands"), "all acknowledged")
    return (await desk.texts())[before:]


async def test_everybody_may_do_what_is_for_everybody_and_nothing_else(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk, commands(desk, tmp_path):
        assert await _answers(desk, message("#say hello")) == ["said|hello|"]
        assert await _answers(desk, message("#secret")) == ["#secret: permission denied"]
        assert await _answers(desk, message("#exit")) == ["#exit: permission denied"]
        assert await _answers(desk, message("#help")) == ["#say …  says a word"]
        assert await _answers(desk, message("#nothing")) == ["#nothing: no such command, see #help"]
        assert await _answers(desk, message("no command"), message("#say x", own=True)) == []
        assert await desk.rows("control") == []


async def test_no_character_has_a_meaning_for_a_shell(redis_url: str, prefix: str, tmp_path: Path) -> None:
    async with desk_at(redis_url, prefix) as desk, commands(desk, tmp_path):
        trap = tmp_path / "trap"
        for word in (f";touch${{IFS}}{trap}", "$(id)", "`id`", "a|b", "&&id", ">x", "*"):
            answers = await _answers(desk, message(f"#say {word}"))
            assert answers in ([f"said|{word}|"], ["#say: these arguments are not allowed"])
        assert await _answers(desk, message("#say two words")) == ["#say: these arguments are not allowed"]
        assert await _answers(desk, message("#say -n")) == ["#say: these arguments are not allowed"]
        assert not trap.exists()


async def test_administrators_are_known_by_number_or_by_an_exact_chat(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk, commands(desk, tmp_path):
        assert await _answers(desk, message("#secret", "friend:3", "3")) == ["the secret"]
        group = Address(ChatKind.GROUP, "2")
        said = Message(group, "9", 1_445_653_507.0, (Text("#secret"),), "77001")
        boss = Participants(group, ContactRef("2"), ContactRef("9", qq="10010"))
        assert await _answers(desk, encode_message(said, boss, RecordContext("10001", 1, 0), raw=False)) == [
            "the secret"
        ]
        assert "#exit  log the account out" in (await _answers(desk, message("#help", "friend:3")))[0]
        assert await _answers(desk, message("#exit", "friend:3")) == ["logging out"]
        (row,) = await desk.rows("control")
        assert (row["cmd"], row["by"]) == (b"logout", b"friend:3 3")


async def test_long_output_comes_in_parts_and_a_long_run_is_stopped(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk, commands(desk, tmp_path):
        answers = await _answers(desk, message("#count", "friend:3"))
        assert len(answers) > 1
        assert max(map(len, answers)) <= MAX_REPLY
        assert "\n".join(answers).split() == [str(n) for n in range(1, 401)]
        ids = [row["id"] for row in await desk.rows("outbound")]
        assert len(set(ids)) == len(ids)
        assert await _answers(desk, message("#sleep", "friend:3")) == ["begun\n(stopped after 0.3 s)"]
        assert await _answers(desk, message("#fail", "friend:3")) == ["(exit code 1)"]


async def test_a_chat_that_is_known_by_its_name_alone_is_no_administrator(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk, commands(desk, tmp_path):
        for identity in (Identity.MATCHED, Identity.SESSION):
            said = message("#secret", "friend:3", "3", identity=identity)
            assert await _answers(desk, said) == ["#secret: permission denied"]


async def test_a_program_gets_no_variable_that_the_list_does_not_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://x:pw@h")
    monkeypatch.setenv("QQBUS_PASSWORD", "pw")
    monkeypatch.setenv("FOR_PROGRAMS", "pw2")
    shown = await output_of(["env"], 5)
    assert "PATH=" in shown
    assert "pw" not in shown
    assert "FOR_PROGRAMS=pw2" in await output_of(["env"], 5, ["FOR_PROGRAMS"])


async def test_output_is_bounded_and_a_missing_program_is_told() -> None:
    endless = await output_of(["sh", "-c", "yes"], 5)
    assert len(endless) <= MAX_OUTPUT + 20
    assert endless.endswith("(output cut)")
    assert "cannot be run" in await output_of(["no-such-program-here"], 5)
    assert await output_of(["true"], 5) == "(done, no output)"


def test_parts_lose_nothing_but_line_ends() -> None:
    text = "\n".join("x" * (n % 90) for n in range(100)) + "y" * 2000
    assert "".join(split_output(text)).replace("\n", "") == text.replace("\n", "")
    assert split_output("") == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('administrators = ["bob"]', "neither qq:<number> nor a chat"),
        ('[commands.x]\nargv = "rm -rf /"', "not a shell line"),
        ("[commands.x]\nargv = []", "has no argv"),
        ('[commands.x]\nargv = ["echo", "{1}"]', "has no pattern for"),
        ('[commands.x]\nargv = ["{1}"]\narguments = ["a"]', "cannot come from the chat"),
        ('[commands.x]\nargv = ["a"]\nwho = "friends"', "must be administrators or everybody"),
        ('environment = "HOME"', "names of variables"),
        ("administrators = 1", "administrators is a list"),
        ("no toml", "Expected"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_in_words(rules: str, words: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=words):
        Rules.parse(rules)


async def test_a_wrong_list_ends_the_program(redis_url: str, prefix: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('administrators = ["bob"]')
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "-m", "consumers.commands", str(rules)) as wrong,
    ):
        assert await wrong.ended() == 2
        assert "administrator 'bob'" in wrong.output


KILLER = """
import os, sys
from pathlib import Path
from typing import Any
runs = Path(sys.argv[1])
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
os.kill(os.getppid(), 9)
"""


async def test_a_command_that_was_interrupted_is_not_run_twice(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    script, runs, rules = tmp_path / "killer.py", tmp_path / "runs", tmp_path / "rules.toml"
    script.write_text(KILLER)
    rules.write_text(
        f'administrators = ["friend:3"]\n[commands.kill]\nargv = ["python3", "{script}", "{runs}"]\n'
    )
    line = ("-m", "consumers.commands", str(rules))
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, *line) as first:
            await wait_until(lambda: desk.has_group("commands"), "the group")
            await desk.publish(message("#kill", "friend:3"))
            assert await first.ended() == -9
        left: Any = await desk.client.xpending_range(desk.key("inbound"), "commands", "-", "+", 1)
        await desk.client.xclaim(
            desk.key("inbound"), "commands", "gone", 0, [left[0]["message_id"]], idle=60_000, justid=True
        )
        async with program(desk, *line):
            await wait_until(desk.texts, "an answer")
        assert await desk.texts() == ["#kill was interrupted; send it again to run it"]
        assert runs.read_text() == "x"
