"""Proof of adapter/plain_text.py: foreign text in one line that commands nothing."""

import pytest

from adapter.plain_text import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\r\nlines\t.", "two⏎lines ."),
        ("\x1b[2J\x07", "␛[2J␇"),
        ("\x7f\x9b", "<U+007F><U+009B>"),
        ("abc \u202ecba", "abc <U+202E>cba"),
        ("\u2028", "<U+2028>"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("\ud800", "<U+D800>"),
    ],
)
def test_what_moves_the_cursor_or_hides_becomes_visible(text: str, shown: str) -> None:
    assert harmless(text) == shown
