"""Answers to actions: results of the bus in OneBot's words. Pure."""

from typing import Any, Final

from adapter import Result
from consumers.onebot.errors import BAD_REQUEST, EXPIRED, FAILED, FORBIDDEN, UNKNOWN_ACTION, ActionError
from consumers.onebot.numbers import entry_number

Answer = dict[str, Any]

# A request whose outcome is not known. Bots must not repeat it, so it is no failure.
_ASYNC: Final = 1
_FAILED_CODES: Final = {"content.unsupported": UNKNOWN_ACTION, "session.rejected": FORBIDDEN}


def ok(data: object = None) -> Answer:
    """Return the answer to an action that was done."""
    return {"status": "ok", "retcode": 0, "data": data, "message": "", "wording": ""}


def failed(retcode: int, wording: str) -> Answer:
    """Return the answer to an action that was not done."""
    return {"status": "failed", "retcode": retcode, "data": None, "message": wording, "wording": wording}


def from_error(error: ActionError) -> Answer:
    """Return the answer to an action that raised this error."""
    return failed(error.retcode, str(error))


def pending(entry: str) -> Answer:
    """Return the answer to a request whose outcome is not known."""
    words = "not confirmed in time: it may be sent, do not repeat it"
    number = entry_number(entry, was_sent=True)
    return {
        "status": "async",
        "retcode": _ASYNC,
        "data": {"message_id": number},
        "message": words,
        "wording": words,
    }


def from_result(result: Result, *, is_message: bool = True) -> Answer:
    """Return the answer for the result of a message, or of an operation."""
    entry = result.entry
    wording = ": ".join(filter(None, (result.code, result.detail)))
    match result.status:
        case "sent":
            return ok({"message_id": entry_number(entry, was_sent=True)} if is_message else None)
        case "rejected":
            return failed(BAD_REQUEST, wording)
        case "failed":
            return failed(_FAILED_CODES.get(result.code, FAILED), wording)
        case "expired":
            return failed(EXPIRED, f"{wording or 'expired'}: not sent, it may be asked again")
        case _:
            return pending(entry) | {"message": wording, "wording": wording}
