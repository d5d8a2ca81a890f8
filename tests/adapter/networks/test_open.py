"""Which network is opened, and what the log says about it."""

import logging

import pytest

from adapter.config import Config
from adapter.networks.open import is_opened_on_standby, log_network

ONEBOT = {"QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": "ws://127.0.0.1:1/?access_token=secret"}


@pytest.mark.parametrize(
    ("settings", "level", "words"),
    [
        ({}, logging.WARNING, ("closed in 2019", "QQBUS_SMARTQQ_URL", "simulator", "onebot", "official")),
        ({"QQBUS_SMARTQQ_URL": "http://127.0.0.1:1"}, logging.INFO, ("smartqq",)),
        (ONEBOT, logging.INFO, ("onebot",)),
    ],
)
def test_the_log_names_the_network_and_that_smartqq_closed(
    settings: dict[str, str], level: int, words: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        log_network(Config.from_env(settings))
    (record,) = caplog.records
    assert record.levelno == level
    assert all(word in record.getMessage() for word in words)
    assert "secret" not in record.getMessage()


def test_only_onebot_keeps_nothing_for_a_client_that_is_away() -> None:
    assert is_opened_on_standby(Config.from_env(ONEBOT))
    assert not is_opened_on_standby(Config.from_env({}))
