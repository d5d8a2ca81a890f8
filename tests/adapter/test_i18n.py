"""Proof of adapter/i18n.py: each text has its translation, with the same values in it, and is chosen by locale."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from adapter.i18n import (
    CATALOGUES,
    FOLDER,
    Sentence,
    _,
    catalogue,
    choose_language,
    translate_sentence,
)
from tests.support.helpers import clean_environment
from tests.support.texts import ARGPARSE, texts

_VALUES = re.compile(r"\{(\w+)[^}]*\}|(%(?:\(\w+\))?[rs])")


@pytest.mark.parametrize("name", CATALOGUES)
def test_each_text_is_translated_and_no_other_one_is_kept(name: str) -> None:
    with (FOLDER / name / "LC_MESSAGES" / "qqbus.po").open("rb") as file:
        translated = {
            first(message.id): first(message.string) for message in read_po(file, locale=name) if message.id
        }
    wanted = texts()
    assert wanted - set(translated) == set(), "to be translated"
    assert set(translated) - wanted == set(), "no longer used"
    assert [text for text, words in translated.items() if not words] == []
    for text, words in translated.items():
        assert set(_VALUES.findall(words)) == set(_VALUES.findall(text)), text


def first(text: "str | tuple[str, ...]") -> str:
    """Return a text, or its singular."""
    return text if isinstance(text, str) else text[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "离线"),
        ({"LC_ALL": "zh_TW.UTF-8", "LANG": "en_US.UTF-8"}, "离线"),
        ({"LANG": "zh_CN.UTF-8", "QQBUS_LANG": "en"}, "offline"),
        ({"LANG": "C", "QQBUS_LANG": "zh-CN"}, "离线"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "offline"),
        ({"LANG": "de_DE.UTF-8"}, "offline"),
        ({}, "offline"),
    ],
)
def test_the_language_is_that_of_the_setting_else_of_the_locale(settings: dict[str, str], words: str) -> None:
    try:
        choose_language(settings)
        assert _("offline") == words
        assert _("") == ""
    finally:
        choose_language({})


def test_the_page_gets_all_texts() -> None:
    assert catalogue("zh_CN")["Approve"] == "同意"
    assert catalogue("xx") == {}


@pytest.mark.parametrize(
    ("language", "words"), [("zh_CN.UTF-8", "显示当前状态"), ("C.UTF-8", "show the state")]
)
def test_the_command_line_speaks_the_language_of_the_terminal(
    language: str, words: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adapter", "--help"],
        env=clean_environment(LC_ALL=language, COLUMNS="200"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert words in done.stdout


@pytest.mark.parametrize(
    ("line", "settings", "words"),
    [
        ((), {}, "用法：qqbus"),
        (("--help",), {}, "显示这段帮助并退出"),
        (("bogus",), {}, "qqbus：错误：参数 COMMAND：无效的选择：'bogus'"),
        (("send",), {}, "缺少参数：TO, TEXT"),
        (("send", "friend:1", "hi", "--wait", "soon"), {}, "参数 --wait：'soon' 不是秒数"),
        (("tail", "--sent", "--all"), {}, "不能与参数"),
        (("status", "--colour"), {}, "无法识别的参数：--colour"),
        (("run",), {"QQBUS_LEASE": "x"}, "QQBUS_LEASE='x' 无效：请给 1 到 3600 的数字"),
        (("run",), {"QQBUS_PREFIX": "a b"}, "QQBUS_PREFIX='a b' 不能用：请给字母、数字和"),
        (("status",), {"REDIS_URL": "redis://127.0.0.1:1"}, "没有 Redis 应答：REDIS_URL 对吗"),
        (("tail", "--since", "soon"), {}, "--since 'soon' 既不是条目 id"),
        (("page",), {"QQBUS_HTTP": "off"}, "这个适配器没有状态页"),
        (("new", "A"), {}, "'A' 不能作为机器人的名字"),
        (("send", "friend:1", "hi", "--expires", "soon"), {}, "expires 既不是 RFC 3339 时间，也不是秒数"),
        (("send", "friend:1", "hi", "--id", "a b"), {}, "id 应为 1 到 128 个字符"),
        (("login", "--timeout", "-1"), {}, "参数 --timeout：'-1' 不是秒数"),
        (("doctor",), {"REDIS_URL": "redis://127.0.0.1:1"}, "错误  "),
        (("sim", "smartqq", "--help"), {}, "用法：qqbus sim smartqq"),
        (("sim", "onebot", "--help"), {}, "模拟的 OneBot 11 协议端"),
        (("sim", "official", "--bogus"), {}, "qqbus sim official：错误：无法识别的参数：--bogus"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_error_speaks_the_language_of_the_terminal(
    line: tuple[str, ...], settings: dict[str, str], words: str, tmp_path: Path
) -> None:
    done = qqbus(tmp_path, *line, QQBUS_LANG="zh_CN", **settings)
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("consumers.echo", "--help"), "应用及其消费组的名称"),
        (("consumers.console", "nonsense"), "地址 'nonsense' 不属于"),
        (("consumers.relay", "group:1", "group:1"), "两个地址相同"),
        (("consumers.archive", "none.db", "--query", "x"), "none.db 不存在"),
        (("consumers.webhook", "nonsense"), "地址无效"),
        (("consumers.commands", "rules.toml"), "commands.x 缺少 argv"),
        (("consumers.onebot", "--listen", "0.0.0.0:1"), "--listen 0.0.0.0:1 能从别的机器访问"),
        (("consumers.mcp", "--http", "127.0.0.1:1"), "--http 需要 QQBUS_MCP_TOKEN"),
        (("consumers.runtime.launch", "bot.py"), "bot.py 没有创建 Worker"),
        (("consumers.runtime.launch", "hello.py", "--help"), "qqbus 消息总线的 worker：hello"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_worker_speaks_the_language_of_the_terminal(
    line: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text("[commands.x]\n")
    (tmp_path / "bot.py").write_text("")
    (tmp_path / "hello.py").write_text("from qqbus import Worker\nWorker('hello').main()\n")
    done = run(tmp_path, *line, LC_ALL="zh_CN.UTF-8")
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_sentence_is_english_and_can_be_translated() -> None:
    sentence = Sentence("{name} is missing", name=Sentence("all events"))
    try:
        choose_language({"QQBUS_LANG": "zh"})
        assert str(sentence) == "all events is missing"
        assert translate_sentence(sentence) == "缺少 全部事件"
        assert translate_sentence("another text") == "another text"
    finally:
        choose_language({})


def test_what_goes_to_a_log_stays_english(tmp_path: Path) -> None:
    settings = {"QQBUS_LANG": "zh_CN", "QQBUS_LOG": "json", "QQBUS_LEASE": "x"}
    done = qqbus(tmp_path, "run", **settings)
    assert json.loads(done.stderr)["message"].endswith("is not valid: give a number from 1 to 3600")


def test_argparse_has_no_text_for_users_that_the_catalogue_lacks() -> None:
    with Path(argparse.__file__).open("rb") as file:
        found = {
            first(text) for _, text, _, _ in extract("python", file, keywords={"_": None, "ngettext": (1, 2)})
        }
    assert found >= ARGPARSE


def qqbus(folder: Path, *line: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return run(folder, "adapter", *line, **settings)


def run(folder: Path, *line: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *line],
        env=clean_environment(COLUMNS="200", **settings),
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
