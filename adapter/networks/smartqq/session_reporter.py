"""Decide which changes of the session are published."""

from dataclasses import replace

from adapter.events import Batch, SessionChange, SessionState
from adapter.networks.smartqq.session.credentials import Credentials


class SessionReporter:
    """Complete session changes, drop repeats, and report a lost session once."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._last: SessionChange | None = None
        # The session was online, here or in the process before, and its loss has not been reported.
        self._is_online = credentials.has_session

    def report(self, change: SessionChange) -> Batch:
        """Return the change with account and nick, or () if it says nothing new."""
        last = self._last
        if last is not None:
            is_repeat = (last.state, last.reason) == (change.state, change.reason)
            is_unreachable = (last.state, last.reason) == (SessionState.OFFLINE, "network")
            if is_repeat and not change.challenge:
                return ()
            # An attempt to repair the session does not end an outage of the network.
            if is_unreachable and change.state is SessionState.RELINKING:
                return ()
        self._last = change = replace(change, account=self._credentials.account, nick=self._credentials.nick)
        is_trying = change.state in (SessionState.STARTING, SessionState.RELINKING)
        self._is_online = change.state is SessionState.ONLINE or (self._is_online and is_trying)
        return (change,)

    def report_login(self, change: SessionChange, loss: str) -> Batch:
        """Report a step of a login, after the loss of the session unless a relink may save it."""
        is_saving = (change.state, change.reason) == (SessionState.RELINKING, "relink")
        if is_saving or not self._is_online:
            return self.report(change)
        lost = SessionChange(SessionState.OFFLINE, "session.lost", loss)
        return (*self.report(lost), *self.report(change))
