"""The names of all keys, made from one prefix (contract, first table)."""

from dataclasses import dataclass

GROUP = "adapter"
CONSUMER = "adapter"  # one fixed name: what a crashed adapter had read is found by the next one


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under `prefix`."""

    prefix: str = "qq"

    def __call__(self, name: str) -> str:
        """The key of that name: `inbound`, `outbound`, `results` and so on."""
        return f"{self.prefix}:{name}"

    def ledger(self, request: str) -> str:
        """What is known of one request."""
        return f"{self.prefix}:ledger:{request}"

    def reply(self, nonce: str) -> str:
        """Where the answer to a command is put; whoever gave it made up the name."""
        return f"{self.prefix}:ids:reply:{nonce}"

    def members(self, chat: str) -> str:
        """The members of a group or discussion."""
        return f"{self.prefix}:members:{chat}"
