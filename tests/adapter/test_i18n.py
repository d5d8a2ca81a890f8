"""Proof of adapter/i18n.py: each text has its translation, with the same values in it, and is chosen by locale."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from adapter.i18n import CATALOGUES, FOLDER, _, catalogue, choose_language
from tests.support.helpers import clean_environment
from tests.support.texts import texts

_VALUES = re.compile(r"\{(\w+)[^}]*\}")


@pytest.mark.parametrize("name", CATALOGUES)
def test_each_text_is_translated_and_no_other_one_is_kept(name: str) -> None:
    with (FOLDER / name / "LC_MESSAGES" / "qqbus.po").open("rb") as file:
        translated = {str(message.id): str(message.string) for message in read_po(file) if message.id}
    wanted = texts()
    assert wanted - set(translated) == set(), "to be translated"
    assert set(translated) - wanted == set(), "no longer used"
    assert [text for text, words in translated.items() if not words] == []
    for text, words in translated.items():
        assert set(_VALUES.findall(words)) == set(_VALUES.findall(text)), text


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
