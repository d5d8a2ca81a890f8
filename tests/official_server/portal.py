"""QR binding: a scanned code gives a client the AppID and the secret."""

import base64
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .call import Call, Reply, json_reply
from .errors import ApiError
from .ids import openid
from .service import Service

NONE, PENDING, DONE, EXPIRED = range(4)
_KEY_BYTES = 32
_IV_BYTES = 12
# Codes of the portal are undocumented; clients only look whether it is 0.
_REFUSED = 400001


class PortalError(RuntimeError):
    """There is no code to scan, or it is past that."""


@dataclass
class BindTask:
    """One code and the key under which its secret travels."""

    id: str
    key: bytes
    since: float
    status: int = NONE
    asked: int = 0


class Portal:
    """The binding tasks of the portal."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.tasks: dict[str, BindTask] = {}

    def create(self, call: Call) -> Reply:
        """Answer POST create_bind_task."""
        try:
            key = base64.b64decode(str(call.json().get("key", "")), validate=True)
        except (ApiError, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            return _refused("key must be the base64 of 32 bytes")
        task = BindTask(self._service.mint.hexadecimal(), key, self._service.clock())
        self.tasks[task.id] = task
        self._service.record.changed.beat()
        return json_reply({"retcode": 0, "msg": "", "data": {"task_id": task.id}})

    def poll(self, call: Call) -> Reply:
        """Answer POST poll_bind_result."""
        try:
            task = self.tasks.get(str(call.json().get("task_id", "")))
        except ApiError:
            task = None
        if task is None:
            return _refused("no such task")
        task.asked += 1
        if self._service.options.auto_scan and task.asked > 1 and task.status < DONE:
            task.status = DONE
        if task.status < DONE and self._service.clock() - task.since > self._service.options.bind_seconds:
            task.status = EXPIRED
        return json_reply({"retcode": 0, "msg": "", "data": self._result(task)})

    def scan(self, task_id: str = "", status: int = DONE) -> str:
        """Scan (PENDING), confirm (DONE) or expire a code, by default the newest."""
        found = self.tasks.get(task_id) if task_id else next(reversed(self.tasks.values()), None)
        if found is None:
            raise PortalError("there is no such code")
        if found.status >= DONE:
            raise PortalError("the code is used or expired")
        found.status = status
        return found.id

    def _result(self, task: BindTask) -> dict[str, object]:
        result: dict[str, object] = {"status": task.status}
        if task.status != DONE:
            return result
        tokens, iv = self._service.tokens, os.urandom(_IV_BYTES)
        secret = iv + AESGCM(task.key).encrypt(iv, tokens.secret.encode(), None)
        return result | {
            "bot_appid": tokens.appid,
            "bot_encrypt_secret": base64.b64encode(secret).decode(),
            "user_openid": openid(tokens.appid, "c2c", "admin"),
        }


def _refused(words: str) -> Reply:
    return json_reply({"retcode": _REFUSED, "msg": words}, code=_REFUSED)
