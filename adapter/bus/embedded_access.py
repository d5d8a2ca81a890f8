"""The password of the embedded server: made once, and found by programs of the same user.

Other users of the machine reach the port too. The password lies in the data folder, for its owner alone.
While the server runs, a copy for its port lies in the user's own state folder, so that a program finds it
that runs without the adapter's QQBUS_STATE_DIR. Clients of other languages read the whole address beside it.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from adapter.config import state_folder
from adapter.errors import ConfigError

PASSWORD_FILE: Final = "password"  # noqa: S105 – a name
URL_FILE: Final = "url"
# The data folder below a state folder, and the folder of copies by port.
DATA: Final = "redis"
SERVERS: Final = "servers"
# Characters of a password that was cut or typed: it is made anew.
_MIN_LENGTH: Final = 16


def load_password(folder: Path) -> str:
    """Return the password of a data folder; make it if there is none. Raises OSError."""
    file = folder / PASSWORD_FILE
    known = _read(file)
    if len(known) >= _MIN_LENGTH:
        return known
    password = secrets.token_urlsafe(24)
    _write(file, password)
    return password


@contextmanager
def published(folder: Path, port: int, url: str, password: str) -> Iterator[None]:
    """Let programs of this user find a running server; withdraw that afterwards."""
    files = [(folder / URL_FILE, url)]
    if (own := _own_folder(os.environ)) and own / DATA != folder:
        files.append((own / SERVERS / str(port), password))
    for file, text in files:
        with suppress(OSError):  # without a home directory the data folder alone has it
            for parent in (file.parent.parent, file.parent):  # the mode is not that of parents
                parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(file, text)
    try:
        yield
    finally:
        for file, text in files:
            with suppress(OSError):
                if _read(file) == text:
                    file.unlink()


def find_passwords(port: int, env: Mapping[str, str] = os.environ) -> list[str]:
    """Return passwords that an embedded server of this user may have on this port."""
    files: list[Path] = []
    with suppress(ConfigError):
        files.append(state_folder(env) / DATA / PASSWORD_FILE)
    if own := _own_folder(env):
        files += [own / DATA / PASSWORD_FILE, own / SERVERS / str(port)]
    found = [password for file in files if (password := _read(file))]
    return list(dict.fromkeys(found))


def _own_folder(env: Mapping[str, str]) -> Path | None:
    """Return the state folder of this user, whatever the settings say."""
    try:
        return state_folder({name: text for name, text in env.items() if name != "QQBUS_STATE_DIR"})
    except ConfigError:
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _write(file: Path, text: str) -> None:
    """Write a file for its owner alone, in one step."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(text + "\n")
    draft.replace(file)
