"""Every secret of a run: what the simulated service handed out and what was sent back to it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapter.bus.bus import Bus
from tests.simulator import Simulator

# Cookies that anybody may see: the own number, the network's name, the hex of the own nick.
PUBLIC = re.compile(r"(p_|super)?uin|pt2gguin|ptisp|pt_recent_uins|ptnick_.*")
# Parameters that are tokens, proofs of one, or the password in disguise.
TOKENS = frozenset(
    {
        *(
            "p",
            "verifycode",
            "pt_verifysession_v1",
            "cap_cd",
            "ptqrtoken",
            "auth_token",
            "ptsigx",
            "pt4_token",
        ),
        *("ptwebqq", "vfwebqq", "psessionid", "hash", "bkn", "group_sig"),
    }
)
SHORT = 8  # what is shorter is looked for as a word of its own


def secrets_of(sim: Simulator) -> set[str]:
    """All that was handed out or sent up to now. Call it before the service forgets: tokens are replaced."""
    return {secret for secret in _all(sim) if len(secret) >= 4}


def _all(sim: Simulator) -> Iterator[str]:
    network = sim.network
    sessions = network.sessions
    for grant in sessions.grants.values():
        yield from (str(value) for name, value in vars(grant).items() if name != "alive")
    yield from (*sessions.dead, network.psessionid, *network.signatures, network.options.password)
    for code in network.codes._codes.values():  # noqa: SLF001 – the codes of this run
        yield from (code.qrsig, code.link, code.link.partition("k=")[2].partition("&")[0])
    challenges = network.challenges
    for challenge in (*challenges.by_session.values(), *challenges.by_cap_cd.values()):
        yield from (challenge.session, challenge.code)
    yield sim.captcha
    for request in sim.requests:
        for pair in request.headers.get("Cookie", "").split("; "):
            name, _, value = pair.partition("=")
            if not PUBLIC.fullmatch(name):
                yield value
        params: dict[str, Any] = dict(request.params)
        if params.get("r", "").startswith("{"):
            params |= json.loads(params["r"], strict=False)
        yield from (str(params[name]) for name in TOKENS & params.keys())


def found_in(text: str, secrets: set[str]) -> list[str]:
    """Those of the secrets that stand in a text."""
    return sorted(
        secret
        for secret in secrets
        if (secret in text if len(secret) >= SHORT else re.search(rf"\b{re.escape(secret)}\b", text))
    )


async def whole_bus(bus: Bus) -> dict[str, str]:
    """Everything under the prefix, key by key, bytes as Latin-1 so that none is lost."""
    found: dict[str, Any] = {}
    async for key in bus.client.scan_iter(match=f"{bus.keys('')}*"):
        kind = (await bus.client.type(key)).decode()
        read = {
            "string": bus.client.get,
            "hash": bus.client.hgetall,
            "list": lambda k: bus.client.lrange(k, 0, -1),
            "set": bus.client.smembers,
            "stream": bus.client.xrange,
        }[kind]
        found[key.decode().removeprefix(bus.keys(""))] = "\n".join(_flat(await read(key)))
    return found


def _flat(value: Any) -> Iterator[str]:
    match value:
        case bytes():
            yield value.decode("latin-1")
        case dict():
            for pair in value.items():
                yield from _flat(pair)
        case list() | tuple() | set():
            for one in value:
                yield from _flat(one)
        case _:
            yield str(value)


def written(folder: Path, *, but: str) -> dict[str, str]:
    """All files of a state folder and all logs, but the one that is meant to hold tokens."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file() and path.name != but
    }
