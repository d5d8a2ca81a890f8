"""Each code of the API and the result that it stands for."""

import json

import pytest

from adapter.networks.official.protocol.return_codes import Answer, outcome_of, sent_without_id


def answer(status: int, **body: object) -> Answer:
    return Answer(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("name", "status", "codes"),
    [
        ("upstream.maybe", "unknown", [304023, 304024, 50055001, 50055002, 50055006]),
        (
            "upstream.denied",
            "failed",
            [
                *(40034128, 40034005, 40034024, 40034025, 40034026, 40034027, 304103, 304026, 304027),
                *(
                    40034102,
                    40034105,
                    40034006,
                    304061,
                    304003,
                    40054010,
                    40054002,
                    40054013,
                    11253,
                    11254,
                    999,
                ),
            ],
        ),
        ("target.unknown", "failed", [40054003, 40034101, 40054004]),
        ("rate.limited", "failed", [40034100, 22009, 1100100, 1100308]),
        (
            "session.rejected",
            "failed",
            [11241, 11242, 11243, 11244, 11251, 11261, 11275, 11298, 11265, 40054016],
        ),
        (
            "content.unsupported",
            "failed",
            [22006, 50055, 50056, 50057, 304036, 40034124, 40034127, 40054007, 40054018, 850019, 850031],
        ),
    ],
)
def test_each_code_has_its_result(name: str, status: str, codes: list[int]) -> None:
    for code in codes:
        for given in (answer(400, code=code, message="词"), answer(200, err_code=code, code=0)):
            outcome = outcome_of(given)
            assert (outcome.status.value, outcome.code) == (status, name), code
            assert str(code) in outcome.detail


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (201, ("unknown", "upstream.maybe")),
        (202, ("unknown", "upstream.maybe")),
        (400, ("failed", "upstream.denied")),
        (401, ("failed", "session.rejected")),
        (404, ("failed", "upstream.denied")),
        (429, ("failed", "rate.limited")),
        (500, ("unknown", "upstream.maybe")),
        (504, ("unknown", "upstream.maybe")),
    ],
)
def test_a_status_without_a_code_has_its_result(status: int, result: tuple[str, str]) -> None:
    for body in (b"", b"<html>", b"[1]", b"{}"):
        outcome = outcome_of(Answer(status, body))
        assert (outcome.status.value, outcome.code) == result


def test_a_message_without_an_id_may_have_been_delivered() -> None:
    assert sent_without_id(outcome_of(answer(200, id="m"))).message_id == "m"
    assert sent_without_id(outcome_of(answer(200))).code == "upstream.maybe"


def test_an_audit_is_named_and_words_are_cut() -> None:
    audit = answer(202, code=304023, message="wait", data={"message_audit": {"audit_id": "77"}})
    assert outcome_of(audit).detail == "304023 wait audit_id=77"
    assert len(outcome_of(answer(400, code=1, message="x" * 9_000)).detail) <= 200
    assert "S3CRET" not in outcome_of(answer(400, code=1, message="http://h/?rkey=S3CRET")).detail
    assert "S3CRET" not in repr(answer(200, access_token="S3CRET"))
    assert "white list" in outcome_of(answer(401, code=11298, err_code=40023002)).detail


def test_what_a_repeat_may_mend() -> None:
    assert answer(400, code=40054005).is_duplicate
    assert answer(401, code=11244).is_token_refused
    assert answer(401).is_token_refused
    assert not answer(401, code=11298).is_token_refused
    assert answer(429).is_transient
    assert answer(400, code=304018).is_transient
    assert not answer(500, code=50055001).is_transient
    assert answer(400, code=304103).is_anchor_refused
