"""Files of attachments and the signed addresses under which they lie."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .clock import Clock
from .ids import Mint
from .options import Options

# Marks an address that is to be signed anew in each copy of an event.
UNSIGNED = "unsigned:"
AUTH_TOKEN = "auth_token="
# One pixel, so that a picture can be shown at all.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63f8ffff3f0005fe"
    "02fea73581840000000049454e44ae426082"
)
TYPES = {"image": "image/png", "voice": "voice", "video": "video/mp4", "file": "file"}
_FILES_KEPT = 1_000
_SIGNATURES_KEPT = 100_000


@dataclass
class Files:
    """The files, and every signature that was given away."""

    mint: Mint
    clock: Clock
    base: str = ""
    contents: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    signatures: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)
    auth_tokens: list[str] = field(default_factory=list)

    def put(self, content: bytes) -> str:
        """Keep a file; return its unsigned address."""
        name = self.mint.hexadecimal(40)
        self.contents[name] = content
        if len(self.contents) > _FILES_KEPT:
            self.contents.popitem(last=False)
        return UNSIGNED + name

    def read(self, name: str, signature: str, options: Options) -> bytes | None:
        """Return a file if the signature is its own and still good."""
        signed, since = self.signatures.get(signature, ("", 0.0))
        if signed != name or self.clock() - since > options.url_seconds:
            return None
        return self.contents.get(name)

    def signed(self, value: Any, options: Options) -> Any:
        """Return a copy of a JSON value with fresh addresses and tokens."""
        if isinstance(value, Mapping):
            return {key: self.signed(one, options) for key, one in value.items()}
        if isinstance(value, list):
            return [self.signed(one, options) for one in value]
        if isinstance(value, str) and value.startswith(UNSIGNED):
            return self._address(value.removeprefix(UNSIGNED), options)
        if value == AUTH_TOKEN:
            self.auth_tokens.append(self.mint.token(40))
            del self.auth_tokens[:-_SIGNATURES_KEPT]
            return AUTH_TOKEN + self.auth_tokens[-1]
        return value

    def _address(self, name: str, options: Options) -> str:
        signature = self.mint.token(64)
        self.signatures[signature] = (name, self.clock())
        if len(self.signatures) > _SIGNATURES_KEPT:
            self.signatures.popitem(last=False)
        base = self.base.partition("://")[2] if options.bare_urls else self.base
        return f"{base}/download/{name}?{urlencode({'appid': 1407, 'rkey': signature, 'spec': 0})}"
