"""`qqbus login`: draw the QR code in the terminal and follow the login to its end.

No other command shows a code: with it every reader can log in.
"""

import argparse
import shutil
import sys
import time

import anyio

from adapter.bus.admin import AdminClient
from adapter.cli.commands.control import caller, require_adapter, require_support
from adapter.cli.errors import CommandError
from adapter.cli.qr import draw_code, draw_picture
from adapter.cli.terminal import Paint, complain, say, show_progress
from adapter.config import Config
from adapter.events import SessionState
from adapter.i18n import N_, _
from adapter.networks.smartqq.login.qr_image import decode_qr
from adapter.ops.wording import GONE, REASONS, STATES, moment, span
from adapter.plain_text import harmless

# Seconds: an adapter that was started just now takes its lease within them.
_ADAPTER_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.2
_BLOCK_MS = 500
# After these reasons the adapter waits for a command. After all others it goes on by itself.
_FINAL_REASONS = frozenset({"login.refused", "login.blocked", "qr.unscanned", "logout"})
# An adapter that has just started gets a code by itself: a command would make it get another.
_BUSY = frozenset({"", SessionState.STARTING, SessionState.RELINKING, SessionState.STOPPED})
# Seconds that a busy adapter gets before it is asked for a login after all.
_BUSY_SECONDS = 3.0
_WAITING = frozenset({SessionState.QR, SessionState.SCANNED, SessionState.CAPTCHA})

Fields = dict[bytes, bytes]


async def login(config: Config, arguments: argparse.Namespace) -> int:
    """Exit code 0 once the account is online."""
    screen = _Screen(config, Paint(arguments.colour))
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        await _wait_adapter(admin, min(arguments.timeout, _ADAPTER_TIMEOUT_SECONDS))
        newest = await admin.last_entries("session")
        after, fields = newest[0] if newest else ("0-0", {})
        state = _text(fields, b"state")
        is_waiting = _is_waiting(fields)
        if not arguments.force:
            if state == SessionState.ONLINE:
                text = _("already online as {account}; --force logs in again")
                say(text.format(account=await _account(admin)))
                return 0
            if is_waiting:
                screen.show(fields)
        asks = arguments.force or not (is_waiting or state in _BUSY)
        if asks:
            await _request_login(admin)
        with anyio.move_on_after(arguments.timeout):
            return await _follow(admin, after, screen, is_requested=asks or is_waiting)
    raise CommandError("not online after {timeout}", timeout=span(arguments.timeout))


async def _wait_adapter(admin: AdminClient, seconds: float) -> None:
    with anyio.move_on_after(seconds), show_progress(_("waiting for an adapter")):
        if await admin.lease_held() is False:
            complain("{gone}: waiting {seconds:g} s for one", gone=N_(GONE.headline), seconds=seconds)
        while await admin.lease_held() is False:  # noqa: ASYNC110 – another process has no event of ours
            await anyio.sleep(_POLL_SECONDS)
        return
    await require_adapter(admin)


async def _request_login(admin: AdminClient) -> None:
    await require_support(admin, "login")
    await admin.send_command("login", caller())


async def _account(admin: AdminClient) -> str:
    status = await admin.status()
    return harmless(" ".join(filter(None, (status.get("account"), status.get("nick")))))


def _text(fields: Fields, name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _is_waiting(fields: Fields) -> bool:
    """Return whether a login waits for a person, its code still valid."""
    expires = moment(_text(fields, b"expires"))
    return _text(fields, b"state") in _WAITING and (expires is None or expires > time.time())


async def _follow(admin: AdminClient, after: str, screen: "_Screen", *, is_requested: bool) -> int:
    """Show the session until it is online (0) or needs a command (1).

    Sends the command `login` to an adapter that stays busy, unless a login `is_requested` already.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        if not is_requested and time.monotonic() > deadline:
            await _request_login(admin)
            is_requested = True
        for entry, fields in await admin.tail("session", after, _BLOCK_MS):
            after = entry
            screen.show(fields)
            state, reason = _text(fields, b"state"), _text(fields, b"reason")
            if state == SessionState.CAPTCHA and sys.stdin.isatty():
                say("? ")
                await anyio.wait_readable(sys.stdin)
                await admin.send_command("captcha", caller(), text=sys.stdin.readline().strip())
            is_requested = is_requested or state not in _BUSY
            if state == SessionState.ONLINE:
                text = _("online as {account}").format(account=await _account(admin))
                say(screen.paint(text, "green"))
                return 0
            if state in {SessionState.STOPPED, SessionState.KICKED} or (
                state == SessionState.OFFLINE and reason in _FINAL_REASONS
            ):
                return 1


class _Screen:
    """Terminal that shows one change of the session after the other."""

    def __init__(self, config: Config, paint: Paint) -> None:
        self.paint = paint
        self._page = "http://{}:{}".format(*config.http_bind) if config.http_bind else "off: see QQBUS_HTTP"
        self._code_count = 0
        self._last_text = ""

    def show(self, fields: Fields) -> None:
        """Draw a code or a captcha, or say what happened."""
        match _text(fields, b"state"):
            case SessionState.QR:
                self._show_code(fields)
            case SessionState.CAPTCHA:
                self._show_captcha(fields)
            case SessionState.ONLINE:
                pass  # printed with the account's name
            case state:
                text = _describe(state, fields)
                if text != self._last_text:
                    say(text)
                self._last_text = text

    def _show_code(self, fields: Fields) -> None:
        self._code_count += 1
        if self._code_count > 1:
            say(_("that code is no longer valid, here is another"))
        link = _text(fields, b"text") or decode_qr(fields.get(b"png", b""))
        columns = shutil.get_terminal_size().columns
        lines = (
            draw_code(link, columns, encoding=sys.stdout.encoding, colour=self.paint.colour) if link else None
        )
        expires = moment(_text(fields, b"expires"))
        validity = ""
        if expires:
            validity = _(" (valid for {span})").format(span=span(expires - time.time()))
        if lines:
            text = _("scan this with QQ on the phone{validity}; Ctrl-C leaves")
            say(*lines, text.format(validity=validity))
            return
        text = _("the QR code{validity} cannot be drawn here: use a wider window, or one that shows UTF-8")
        say(text.format(validity=validity))
        if link:
            say(_("it says   {text}").format(text=harmless(link)))
        say(_("see it on the adapter's status page ({page}); Ctrl-C leaves").format(page=self._page))

    def _show_captcha(self, fields: Fields) -> None:
        columns = shutil.get_terminal_size().columns
        lines = draw_picture(
            fields.get(b"png", b""), columns, encoding=sys.stdout.encoding, colour=self.paint.colour
        )
        hint = "" if sys.stdin.isatty() else ": `qqbus captcha TEXT`"
        text = _("the captcha cannot be drawn here: see the adapter's status page ({page})")
        say(*(lines or [text.format(page=self._page)]), _("type the characters of the picture") + hint)


def _describe(state: str, fields: Fields) -> str:
    """Say what a state means, why it is so and what to do."""
    known = STATES[SessionState(state)] if state in set(SessionState) else None
    text = _(known.headline) if known else harmless(state)
    reason, detail = _text(fields, b"reason"), harmless(_text(fields, b"detail"))
    if reason in REASONS:
        text += f": {_(REASONS[reason].headline)}"
    if detail:
        text += f" ({detail})"
    return f"{text} – {_(known.cli_hint)}" if known and known.cli_hint else text
