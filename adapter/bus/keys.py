"""Make the names of all keys from one prefix."""

from dataclasses import dataclass

GROUP = "adapter"
# One fixed name: the next adapter finds what a crashed one had read.
CONSUMER = "adapter"


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under `prefix`."""

    prefix: str = "qq"

    def __call__(self, name: str) -> str:
        """Return the key of that name: `inbound`, `outbound`, `results` and so on."""
        return f"{self.prefix}:{name}"

    def ledger(self, request: str) -> str:
        """Return the key of a request's ledger entry."""
        return f"{self.prefix}:ledger:{request}"

    def reply(self, nonce: str) -> str:
        """Return the key of the answer to a command; its caller made up the nonce."""
        return f"{self.prefix}:ids:reply:{nonce}"

    def members(self, chat: str) -> str:
        """Return the key of the members of a group or discussion."""
        return f"{self.prefix}:members:{chat}"
