"""Proof of adapter/ops/alerts/channels.py: real commands, real webhooks, and bad ones."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from adapter.ops.alerts import channels
from adapter.ops.alerts.alert import MAX_TEXT, Alert
from adapter.ops.alerts.channels import (
    PIPE_BYTES,
    CommandChannel,
    DeliveryError,
    WebhookChannel,
    configured_channels,
)
from tests.support.webhook_server import webhook

pytestmark = pytest.mark.anyio

ALERT = Alert(active=True, reason="qr", text="a QR code waits", account="305419896", time=0.0)


def command(folder: Path, code: str) -> CommandChannel:
    """Return a channel that runs this Python code."""
    script = folder / "alarm.py"
    script.write_text(code, encoding="utf-8")
    return CommandChannel(f"{sys.executable} '{script}' --now")


# --- a command ---------------------------------------------------------------------------------


async def test_a_command_gets_the_text_as_its_last_argument_and_json_on_standard_input(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.json"
    code = f"import sys, json; json.dump([sys.argv[1:], json.load(sys.stdin)], open({str(out)!r}, 'w'))"
    await command(tmp_path, code).deliver(ALERT)
    arguments, given = json.loads(out.read_text())
    assert arguments == ["--now", "qqbus 305419896: a QR code waits"]
    assert given == {
        "event": "alarm",
        "reason": "qr",
        "text": "qqbus 305419896: a QR code waits",
        "account": "305419896",
        "time": "1970-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize("line", ["/nowhere/at/all", "exit", "/"])
async def test_a_command_that_cannot_run_is_a_failure(line: str) -> None:
    with pytest.raises(OSError, match=r"No such file|Permission"):
        await CommandChannel(line).deliver(ALERT)


async def test_a_command_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="ended with 1: no paper"):
        await command(tmp_path, "import sys; sys.exit('no paper')").deliver(ALERT)


async def test_a_command_need_not_read_and_may_write_a_lot(tmp_path: Path) -> None:
    code = f"import sys, os; os.close(0); sys.stderr.write('x' * {4 * PIPE_BYTES} + 'end'); sys.exit(3)"
    with pytest.raises(DeliveryError, match=r"ended with 3: x+end$"):
        await command(tmp_path, code).deliver(
            Alert(active=True, reason="qr", text="长" * 10 * MAX_TEXT, account="", time=0.0)
        )


async def test_a_command_is_judged_by_its_own_end_and_not_by_what_it_left_behind(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'], stdin=0, stderr=2)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "import os; os._exit(0)\n"
    )
    began = time.monotonic()
    await command(tmp_path, code).deliver(ALERT)
    assert time.monotonic() - began < 15
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # raises where it has ended by itself


async def test_a_command_without_an_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "COMMAND_SECONDS", 1.0)
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(DeliveryError, match="no end within 1 s"):
        await command(tmp_path, code).deliver(ALERT)
    assert not pid.exists() or not Path(f"/proc/{pid.read_text()}").exists()


# --- a webhook ---------------------------------------------------------------------------------


async def test_a_webhook_gets_the_json() -> None:
    with webhook() as hook:
        await WebhookChannel(hook.url).deliver(
            Alert(active=False, reason="online", text="online again", account="", time=0.0)
        )
    assert [(body["event"], body["text"]) for body in hook.bodies] == [
        ("clear", "qqbus all clear: online again")
    ]


async def test_a_webhook_that_refuses_is_a_failure() -> None:
    with webhook(refuse=1) as hook, pytest.raises(DeliveryError, match="HTTP 503"):
        await WebhookChannel(hook.url).deliver(ALERT)


@contextmanager
def peer(answer: bytes, *, ends: bool = True) -> Iterator[str]:
    """Serve an address that answers this to anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closing = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
                if not ends:
                    closing.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret"
        finally:
            closing.set()
            thread.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 204 " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
    ],
)
async def test_a_peer_that_does_not_speak_http_is_a_failure(answer: bytes) -> None:
    with peer(answer) as url, pytest.raises(httpx.HTTPError):
        await WebhookChannel(url).deliver(ALERT)


async def test_the_head_of_an_answer_is_enough() -> None:
    with peer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", ends=False) as url:
        await WebhookChannel(url).deliver(ALERT)


async def test_a_peer_that_does_not_answer_is_a_failure_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "POST_SECONDS", 0.2)
    with peer(b"", ends=False) as url, pytest.raises((DeliveryError, httpx.TimeoutException)):
        await WebhookChannel(url).deliver(ALERT)


async def test_a_redirect_is_a_failure_that_is_named() -> None:
    with (
        peer(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n") as url,
        pytest.raises(DeliveryError, match="HTTP 302"),
    ):
        await WebhookChannel(url).deliver(ALERT)


def test_channels_are_those_that_are_set_and_show_no_secret() -> None:
    assert configured_channels("", "") == ()
    both = configured_channels("notify --token secret", "https://example.org/secret")
    assert [channel.setting for channel in both] == ["QQBUS_ALARM_COMMAND", "QQBUS_ALARM_URL"]
    assert "secret" not in repr(both)
