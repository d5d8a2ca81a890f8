"""Proof of adapter/ops/network_texts.py: each text names the network that is configured."""

import pytest

from adapter.config import NETWORKS as CONFIGURED
from adapter.ops.network_texts import NETWORKS
from adapter.ops.wording import alarm_text, describe, reason_text


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_no_text_of_another_network_names_smartqq_or_its_login(network: str) -> None:
    for state in ("offline", "kicked"):
        for reason in ("", *NETWORKS[network]):
            text = describe({"state": state, "reason": reason, "network": network}, is_lease_held=True)
            assert "SmartQQ" not in f"{text}"
            assert "WebQQ" not in f"{text}"
            assert text.headline
            assert text.cli_hint
            assert text.page_hint


@pytest.mark.parametrize("alarm", ["deaf", "mute"])
def test_an_account_that_looks_well_and_is_not_is_described_by_network(alarm: str) -> None:
    texts = {
        network: describe({"state": "online", "network": network}, is_lease_held=True, alarm=alarm)
        for network in ("smartqq", *NETWORKS)
    }
    assert len({text.page_hint for text in texts.values()}) == len(texts)


def test_a_full_disk_is_described_by_network() -> None:
    text = describe({"state": "online", "network": "onebot"}, is_lease_held=True, disk_error="full")
    assert "SmartQQ" not in str(text)


def test_reasons_are_said_in_words() -> None:
    assert "token" in reason_text("token", "onebot")
    assert reason_text("unheard.of", "onebot") == "unheard.of"
    assert alarm_text("unreachable") == NETWORKS["onebot"]["unreachable"].headline
    assert set(CONFIGURED) <= {"smartqq", *NETWORKS}
