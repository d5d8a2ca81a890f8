"""Make a Redis user for each service, once: `python users.py FOLDER SERVICE=ROLE …`.

FOLDER/acl/users.acl gets the hashes of their passwords, for the server. FOLDER/SERVICE/url gets the address
of one user, readable by its user alone: a service sees its own folder only. What exists is left as it is.
"""

import os
import secrets
import sys
from pathlib import Path

from adapter.contract.acl import ROLES, hash_password, setuser_line

# The user of the image, see the Dockerfile.
OWNER = 10001
HOST = "redis:6379"


def main(folder: Path, services: list[str]) -> None:
    """Write all files; the ACL file comes last: without it the next start begins anew."""
    file = folder / "acl" / "users.acl"
    if file.exists():
        print(f"{file} exists: its users are kept")
        return
    prefix = os.environ.get("QQBUS_PREFIX") or "qq"
    lines = ["user default off"]
    for service in services:
        name, _, role = service.partition("=")
        user, password = f"{prefix.strip('{}')}-{name}", secrets.token_urlsafe(32)
        secret = hash_password(password)
        lines.append("user " + setuser_line(ROLES[role], prefix, user=user, secret=secret))
        write(folder / name / "url", f"redis://{user}:{password}@{HOST}\n", 0o600)
    write(file, "\n".join(lines) + "\n", 0o644)
    print(f"{len(services)} users made")


def write(file: Path, text: str, mode: int) -> None:
    """Write a file in one step, for the user of the services."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as out:
        out.write(text)
    draft.chmod(mode)  # whatever the umask is
    if os.geteuid() == 0:
        os.chown(draft, OWNER, OWNER)
        os.chown(file.parent, OWNER, OWNER)
    draft.replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
