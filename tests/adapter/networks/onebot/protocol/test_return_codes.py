"""Return codes: the table, row by row, and the answers of each dialect."""

from typing import Any

import pytest

from adapter.events import Outcome, Status
from adapter.networks.onebot.protocol.return_codes import Verdict, decode_answer, outcome_of
from tests.onebot_server.actions import failed, succeeded
from tests.onebot_server.dialects import DIALECTS
from tests.onebot_server.errors import ActionError, Failure
from tests.onebot_server.sending import TIMEOUT_WORDING


def outcome(**frame: Any) -> Outcome:
    return outcome_of(decode_answer(frame))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_accepted_message_bears_the_networks_id(dialect: str) -> None:
    answer = decode_answer(succeeded({"message_id": -5}, DIALECTS[dialect]))
    assert outcome_of(answer) == Outcome(Status.SENT, "ok", "", "-5")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("failure", "words", "expected"),
    [
        (Failure.REFUSED, "已被禁言", (Status.FAILED, "upstream.denied")),
        (Failure.TIMEOUT, TIMEOUT_WORDING, (Status.UNKNOWN, "upstream.maybe")),
        (Failure.BAD_PARAMS, "message is required", (Status.FAILED, "upstream.denied")),
        (Failure.UNKNOWN_ACTION, "API不存在", (Status.FAILED, "content.unsupported")),
    ],
)
def test_a_failure_is_read_in_each_dialect(
    dialect: str, failure: Failure, words: str, expected: tuple[Status, str]
) -> None:
    found = outcome_of(decode_answer(failed(ActionError(failure, words), DIALECTS[dialect])))
    assert (found.status, found.code) == expected
    assert " ".join(words.split())[:50] in found.detail


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        ({"retcode": 0, "status": "ok"}, Status.SENT, "ok"),
        ({"retcode": 1, "status": "async", "data": None}, Status.SENT, "ok"),
        ({"retcode": "0"}, Status.SENT, "ok"),
        ({"status": "ok"}, Status.SENT, "ok"),
        ({"retcode": 1200, "wording": "发送超时"}, Status.UNKNOWN, "upstream.maybe"),
        ({"retcode": 1200, "message": "request timed out"}, Status.UNKNOWN, "upstream.maybe"),
        ({"retcode": 1400, "message": "bad"}, Status.FAILED, "upstream.denied"),
        ({"retcode": 1400, "message": "timeout is no number"}, Status.FAILED, "upstream.denied"),
        ({"retcode": 200, "message": "不支持的API x"}, Status.FAILED, "content.unsupported"),
        ({"retcode": 200, "message": "boom"}, Status.FAILED, "upstream.denied"),
        ({"retcode": -1, "msg": "Unknown action: x"}, Status.FAILED, "content.unsupported"),
        ({"retcode": -1, "msg": "no"}, Status.FAILED, "upstream.denied"),
        ({"retcode": 1403}, Status.FAILED, "session.rejected"),
        ({"retcode": 401}, Status.FAILED, "session.rejected"),
        ({"retcode": 403, "msg": "time out"}, Status.FAILED, "session.rejected"),
        ({"retcode": 5000}, Status.FAILED, "upstream.denied"),
        ({"retcode": 5000, "status": "ok"}, Status.SENT, "ok"),
        ({"retcode": None, "status": None}, Status.FAILED, "upstream.denied"),
    ],
)
def test_each_code_has_its_meaning(frame: dict[str, Any], status: Status, code: str) -> None:
    found = outcome(**frame)
    assert (found.status, found.code) == (status, code)


def test_a_detail_holds_code_and_words_and_is_short() -> None:
    assert outcome(retcode=100, msg="MUTED", wording="已被\n禁言 ").detail == "100 已被 禁言"
    assert outcome(retcode=100).detail == "100"
    assert len(outcome(retcode=100, message="x" * 5_000).detail) < 250
    assert decode_answer({"retcode": 0, "data": [1]}).data == [1]
    assert decode_answer({"retcode": 1404}).verdict is Verdict.UNSUPPORTED
