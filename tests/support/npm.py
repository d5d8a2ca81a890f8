"""Install packages of npm for a test: only a registry that cannot be reached is a reason to skip."""

import re
import subprocess
from typing import Final

import pytest

# npm's codes for a network, a proxy or a registry that does not serve. Others name a mistake of ours.
AWAY: Final = re.compile(
    r"\bcode (?:E\d{3}|ENOTFOUND|EAI_AGAIN|ECONN\w+|E\w*TIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b"
)


def check_installed(done: "subprocess.CompletedProcess[str]") -> None:
    """Skip the test where npm found no registry; fail it where npm refused the packages."""
    if done.returncode:
        reason = done.stderr.strip()[-2_000:]
        if AWAY.search(done.stderr):
            pytest.skip(f"npm reaches no registry here: {reason.splitlines()[0]}")
        pytest.fail(f"npm cannot install the packages: {reason}")
