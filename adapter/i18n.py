"""Translate texts for people: help, status, doctor, login, alarms, the page.

English is the key. A text is marked with `N_` where it is a constant and translated with `_` where it is
shown, so that what goes to the log, to Redis and into results stays English. The texts of errors that a
command prints need no mark: their classes are known to the tests of the catalogues.
"""

import gettext
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from adapter.errors import QQBusError

DOMAIN: Final = "qqbus"
FOLDER: Final = Path(__file__).with_name("locale")
# Languages with a catalogue: its name, and that of the web.
CATALOGUES: Final = {"zh_CN": "zh-CN"}
# The variables of a locale, the strongest first.
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")

# What the standard library takes for "no catalogue".
_ENGLISH: Final = "C"

_chosen: gettext.NullTranslations = gettext.NullTranslations()
_language = _ENGLISH


class Text(str):
    """A text with a translation: as a value of another text it is translated with that one."""

    __slots__ = ()


class Sentence(str):
    """A text with its values: as it is, English; translated by `translate_sentence`."""

    __slots__ = ("text", "values")

    text: str
    values: Mapping[str, object]

    def __new__(cls, text: str, /, **values: object) -> Self:
        """Return the sentence of a format and its values."""
        sentence = super().__new__(cls, text.format(**values) if values else text)
        sentence.text, sentence.values = text, values
        return sentence


def N_(text: str) -> Text:  # noqa: N802 – the name that gettext tools look for
    """Mark a text to be translated where it is shown."""
    return Text(text)


def _(text: str) -> str:
    """Return the text in the chosen language; the empty text stays empty."""
    return _chosen.gettext(text) if text else ""


def choose_language(env: Mapping[str, str]) -> None:
    """Choose by QQBUS_LANG, else by the locale; English where there is no catalogue."""
    global _chosen, _language  # noqa: PLW0603 – one language for a process
    wanted = env.get("QQBUS_LANG") or next((env[name] for name in _LOCALE if env.get(name)), "")
    # Every variant of Chinese gets the one catalogue that there is.
    is_chinese = wanted.lower().replace("-", "_").partition("_")[0] == "zh"
    _language = "zh_CN" if is_chinese else _ENGLISH
    _chosen = _load(_language) if is_chinese else gettext.NullTranslations()


@contextmanager
def terminal_texts() -> Iterator[None]:
    """Choose the language of this terminal, and let argparse speak it.

    It is English where the terminal lacks the letters: codes in their place help no reader.
    """
    choose_language(os.environ)
    if not _can_show(_("offline")):
        choose_language({})
    with _argparse_texts():
        yield


def _can_show(text: str) -> bool:
    """Return whether standard output has the letters of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _argparse_texts() -> Iterator[None]:
    """Let argparse speak the chosen language.

    It asks the standard gettext, which takes the language from the environment alone.
    """
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)
    before = os.environ.get("LANGUAGE")
    os.environ["LANGUAGE"] = _language
    try:
        yield
    finally:
        del os.environ["LANGUAGE"]
        if before is not None:
            os.environ["LANGUAGE"] = before


def translate(text: str, values: Mapping[str, object]) -> str:
    """Return the text of an error in the chosen language, with its values."""
    return (
        _(text).format(**{name: _translate_value(value) for name, value in values.items()})
        if values
        else _(text)
    )


def translate_error(error: QQBusError) -> str:
    """Return an error in the chosen language."""
    return translate(error.text, error.values)


def translate_sentence(text: str) -> str:
    """Return a sentence in the chosen language; another text as it is."""
    return translate(text.text, text.values) if isinstance(text, Sentence) else text


def _translate_value(value: object) -> object:
    if isinstance(value, QQBusError):
        return translate_error(value)
    if isinstance(value, Sentence):
        return translate_sentence(value)
    return _(value) if isinstance(value, Text) else value


def catalogue(language: str) -> dict[str, str]:
    """Return all texts of a language by their English; empty if it has not been compiled."""
    loaded = _load(language)
    texts: Mapping[object, object] = getattr(loaded, "_catalog", {})
    return {key: str(text) for key, text in texts.items() if isinstance(key, str) and key}


def _load(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, str(FOLDER), [language], fallback=True)
