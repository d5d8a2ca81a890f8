"""Run three bots against the official server and judge by its record.

nonebot-adapter-qq is of NoneBot; qqbot-agent-sdk and qq-botpy are Tencent's own. They bring three
WebSocket stacks, three ways to resume, and the only published client of the QR portal.
"""

import asyncio
import datetime as dt
import hashlib
import ipaddress
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.official_server import OfficialServer
from tests.official_server.files import PIXEL
from tests.peers.environment import Script, prepare, script

HERE = Path(__file__).parent
PACKAGES = ("nonebot2[httpx,websockets]", "nonebot-adapter-qq", "qqbot-agent-sdk", "qq-botpy")
FRIEND, GROUP = "friend:ann", "group:lab"
# Seconds until a bot has connected; it has to be imported first, on a busy machine.
START_SECONDS = 60.0
# Seconds until a bot has come back: they wait 2 to 5 s between two connections.
RETURN_SECONDS = 30.0
FACE_TAG = '<faceType=1,faceId="14",ext="eyJ0ZXh0Ijoi5b6u56yRIn0=">'


@dataclass(frozen=True)
class Peer:
    """One bot: its script, what it makes of a face, whether it answers notices."""

    name: str
    file: str
    face: str
    answers_notices: bool


PEERS = (
    Peer("nonebot-adapter-qq", "nonebot_bot.py", "[face 14]", answers_notices=True),
    Peer("qqbot-agent-sdk", "sdk_bot.py", FACE_TAG, answers_notices=False),
    Peer("qq-botpy", "botpy_bot.py", FACE_TAG, answers_notices=True),
)


async def check() -> None:
    """Check each bot, and the QR portal."""
    python = prepare("official", PACKAGES, HERE / "constraints.txt")
    for peer in PEERS:
        with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
            await check_bot(python, peer, Path(folder))
        print(f"official: {peer.name}: accepted", flush=True)
    with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
        await check_binding(python, Path(folder))
    print("official: qqbot-agent-sdk binds by scanning: accepted", flush=True)


async def check_bot(python: Path, peer: Peer, home: Path) -> None:
    """Let a bot identify, answer, resume, and answer again."""
    async with OfficialServer() as server:
        arguments = (server.url, server.appid, server.secret)
        async with script(python, HERE / "bots" / peer.file, *arguments, home=home) as bot:
            await connected(server, bot)
            await check_answers(server, peer)
            await check_resume(server)
            await check_unknown_event(server)
            assert bot.refused == [], bot.refused


async def connected(server: OfficialServer, bot: Script) -> None:
    """Wait for READY; say what the bot printed if it does not come."""
    waiting = asyncio.ensure_future(server.wait_connected(START_SECONDS))
    ended = asyncio.ensure_future(bot.process.wait())
    await asyncio.wait([waiting, ended], return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not waiting.done():
        waiting.cancel()
        raise AssertionError("the bot ended:\n" + "\n".join(list(bot.lines)[-40:]))
    await waiting
    assert [one.entry for one in server.record.connections] == ["identify"]


async def check_answers(server: OfficialServer, peer: Peer) -> None:
    """Compare text, face and picture, a mention in a group, a new friend."""
    said = server.say(FRIEND, "hi [微笑]", attachments=[{"kind": "image"}])
    text, picture = await server.wait_received(2)
    assert (text.chat, text.text, text.anchor) == (FRIEND, f"echo: hi {peer.face}", said.message_id), text
    assert (picture.chat, picture.msg_type, picture.anchor) == (FRIEND, 7, said.message_id), picture
    assert picture.media is not None
    assert picture.media["sha256"] == hashlib.sha256(PIXEL).hexdigest(), picture
    assert text.msg_seq != picture.msg_seq, picture
    mention = server.say(GROUP, "/cmd", sender="bob", at=True)
    answer = (await server.wait_received(3))[-1]
    assert (answer.chat, answer.text, answer.anchor) == (GROUP, "echo: /cmd", mention.message_id), answer
    if peer.answers_notices:
        added = server.notify("FRIEND_ADD", FRIEND)
        answer = (await server.wait_received(4))[-1]
        assert (answer.chat, answer.text, answer.anchor) == (FRIEND, "echo: welcome", added.event_id), answer


async def check_resume(server: OfficialServer) -> None:
    """Let the connection expire, speak, and wait for the answer."""
    count = server.record.count("received")
    await server.kill(4009, "connection expired")
    missed = server.say(FRIEND, "missed")
    answer = (await server.wait_received(count + 1, RETURN_SECONDS))[-1]
    assert (answer.text, answer.anchor) == ("echo: missed", missed.message_id), answer
    last = server.record.connections[-1]
    assert (last.entry, last.replayed) == ("resume", 1), last
    assert len(server.sessions) == 1, server.sessions


async def check_unknown_event(server: OfficialServer) -> None:
    """Send an event of a type that no bot knows; the next one is answered."""
    count = server.record.count("received")
    server.push("SOMETHING_NEW", {"id": "x", "content": "of next year"})
    server.say(FRIEND, "after something new")
    answer = (await server.wait_received(count + 1))[-1]
    assert answer.text == "echo: after something new", answer


async def check_binding(python: Path, home: Path) -> None:
    """Let the SDK show a code, scan it, and compare what it decrypts."""
    certificate, key = make_certificate(home)
    async with OfficialServer(tls=(certificate, key)) as server:
        settings = {
            "QQ_PORTAL_HOST": server.secure_url.removeprefix("https://"),
            "SSL_CERT_FILE": str(certificate),
        }
        async with script(python, HERE / "bots" / "sdk_bind.py", home=home, **settings) as bot:
            await bot.until(lambda: any("task_id=" in line for line in bot.lines), "a code", START_SECONDS)
            task_id = server.scan()
            await bot.until(lambda: any(line.startswith("{") for line in bot.lines), "AppID and secret")
            assert f"task_id={task_id}&" in next(line for line in bot.lines if "task_id=" in line)
            bound = json.loads(next(line for line in bot.lines if line.startswith("{")))
            assert bound == {"appid": server.appid, "secret": server.secret}, bound
            assert bot.refused == [], bot.refused


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that signs itself; return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, key_file
