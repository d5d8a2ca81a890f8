"""`qqbus login`: draws the QR code in the terminal and follows the login to its end.

The only command that shows a code: whoever sees it can log in with it.
"""

import argparse
import getpass
import shutil
import socket
import sys
import time

import anyio

from adapter.bus.admin import AdminClient
from adapter.cli import qr
from adapter.cli.terminal import Paint, harmless, say
from adapter.config import Config
from adapter.events import SessionState
from adapter.ops.wording import REASONS, STATES, moment, span

_PATIENCE = 900.0
# Time for an adapter that was started a moment ago to get hold of its lease.
_ADAPTER_PATIENCE = 10.0
_POLL = 0.2
_BLOCK = 500
# After these the adapter waits to be asked again. Anything else goes on by itself.
_FINAL = frozenset({"login.refused", "login.blocked", "qr.unscanned", "logout"})
# An adapter that has just started gets a code by itself: asking would only make it get another.
_BUSY = frozenset({"", SessionState.STARTING, SessionState.RELINKING, SessionState.STOPPED})
_GRACE = 3.0
_WAITING = frozenset({SessionState.QR.value, SessionState.SCANNED.value, SessionState.CAPTCHA.value})

Fields = dict[bytes, bytes]


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("login", help="show the QR code and wait until the account is online")
    one.add_argument("--force", action="store_true", help="ask for a login even if the account is online")
    one.add_argument(
        "--timeout", type=float, default=_PATIENCE, metavar="SECONDS", help=f"default {_PATIENCE:g}"
    )
    one.set_defaults(command=login)


async def login(config: Config, arguments: argparse.Namespace) -> int:
    """Exit code 0 once the account is online."""
    screen = _Screen(Paint(arguments.colour))
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        if not await _running(desk, arguments.timeout):
            print("qqbus: no adapter is running: start one with `qqbus run`", file=sys.stderr)
            return 1
        newest = await desk.last_entries("session")
        after, fields = newest[0] if newest else ("0-0", {})
        if not arguments.force:
            if screen.state(fields) == SessionState.ONLINE:
                say(f"already online as {await _account(desk)}; --force logs in again")
                return 0
            if _current(fields):
                screen.show(fields)
        asks = arguments.force or not (_current(fields) or screen.state(fields) in _BUSY)
        if asks:
            await desk.send_command("login", caller())
        with anyio.move_on_after(arguments.timeout):
            return await _follow(desk, after, screen, settled=asks or _current(fields))
    print(f"qqbus: not online after {span(arguments.timeout)}", file=sys.stderr)
    return 1


def caller() -> str:
    """Who gives a command, for the adapter's log."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return socket.gethostname()


async def _running(desk: AdminClient, timeout: float) -> bool:  # noqa: ASYNC109 – a limit that a person gave
    with anyio.move_on_after(min(timeout, _ADAPTER_PATIENCE)):
        while await desk.lease_held() is False:  # noqa: ASYNC110 – another process has no event of ours
            await anyio.sleep(_POLL)
        return True
    return False


async def _account(desk: AdminClient) -> str:
    status = await desk.status()
    return harmless(" ".join(filter(None, (status.get("account"), status.get("nick")))))


def _current(fields: Fields) -> bool:
    """Whether there is a login under way that only waits for a person."""
    if fields.get(b"state", b"").decode() not in _WAITING:
        return False
    expires = moment(fields.get(b"expires", b"").decode())
    return expires is None or expires > time.time()


async def _follow(desk: AdminClient, after: str, screen: "_Screen", *, settled: bool) -> int:
    """Show what happens. Until it is `settled` that a login is under way, one may have to be asked for."""
    limit = time.monotonic() + _GRACE
    while True:
        if not settled and time.monotonic() > limit:
            await desk.send_command("login", caller())
            settled = True
        for entry, fields in await desk.tail("session", after, _BLOCK):
            after = entry
            screen.show(fields)
            if screen.state(fields) == SessionState.CAPTCHA and sys.stdin.isatty():
                say("? ")
                await anyio.wait_readable(sys.stdin)
                await desk.send_command("captcha", caller(), text=sys.stdin.readline().strip())
            settled = settled or screen.state(fields) not in _BUSY
            state, reason = screen.state(fields), fields.get(b"reason", b"").decode()
            if state == SessionState.ONLINE:
                say(screen.paint(f"online as {await _account(desk)}", "green"))
                return 0
            if state in {SessionState.STOPPED, SessionState.KICKED} or (
                state == SessionState.OFFLINE and reason in _FINAL
            ):
                return 1


class _Screen:
    """Shows one change of the session after the other."""

    def __init__(self, paint: Paint) -> None:
        self.paint = paint
        self._codes = 0
        self._last = ""

    @staticmethod
    def state(fields: Fields) -> str:
        """The state that an entry tells."""
        return fields.get(b"state", b"").decode("utf-8", "replace")

    def show(self, fields: Fields) -> None:
        """Draw a code, or say what happened."""
        match self.state(fields):
            case SessionState.QR:
                self._code(fields)
            case SessionState.CAPTCHA:
                hint = "" if sys.stdin.isatty() else ": `qqbus captcha TEXT`"
                say(*self._picture(fields), f"SmartQQ wants to see these characters typed{hint}")
            case SessionState.ONLINE:
                pass  # said with the account's name
            case state:
                words = self._words(state, fields)
                if words != self._last:
                    say(words)
                self._last = words

    def _code(self, fields: Fields) -> None:
        self._codes += 1
        if self._codes > 1:
            say("that code is no longer valid, here is another")
        text = fields.get(b"text", b"").decode("utf-8", "replace")
        matrix = qr.modules(text) if text else qr.picture_modules(fields.get(b"png", b""))
        columns = shutil.get_terminal_size().columns
        drawn = qr.render(matrix, columns, colour=self.paint.colour) if matrix else self._picture(fields)
        if drawn:
            say(*drawn)
        else:
            say(
                f"the window is too narrow for the code: make it wider than {columns} columns", harmless(text)
            )
        expires = moment(fields.get(b"expires", b"").decode())
        left = f" (valid for {span(expires - time.time())})" if expires else ""
        say(f"scan this with QQ on the phone{left}; Ctrl-C leaves")

    def _picture(self, fields: Fields) -> list[str]:
        columns = shutil.get_terminal_size().columns
        drawn = qr.render_picture(fields.get(b"png", b""), columns, colour=self.paint.colour)
        return drawn or ["(a picture that cannot be read)"]

    def _words(self, state: str, fields: Fields) -> str:
        known = {kind.value: (text.headline, text.cli_hint) for kind, text in STATES.items()}
        words, todo = known.get(state, (harmless(state), ""))
        reason = fields.get(b"reason", b"").decode("utf-8", "replace")
        if reason in REASONS:
            words += f": {REASONS[reason].headline}"
        detail = harmless(fields.get(b"detail", b"").decode("utf-8", "replace"))
        if detail:
            words += f" ({detail})"
        return f"{words} – {todo}" if todo else words
