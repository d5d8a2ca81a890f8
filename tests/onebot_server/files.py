"""Actions about files: addresses, downloads and uploads in several frames."""

import base64
import binascii

from .call import Call
from .errors import bad_params, refused
from .params import boolean, integer, words
from .state import MAX_UPLOAD_BYTES, MAX_UPLOADS

# Bytes of a chunk of a file stream.
_CHUNK = 64 * 1024


async def get_image(call: Call) -> object:
    """Return a picture's address, which is new each time, and for NapCat its content."""
    name = words(call.params, "file") or words(call.params, "file_id")
    if not name:
        raise bad_params("file is required")
    stored = call.state.pictures.find(name)
    if stored is None:
        raise refused("file not found")
    answer = {
        "file": f"/app/.config/QQ/{stored.name}",
        "url": call.state.pictures.url(stored.name),
        "file_size": str(len(stored.content)),
        "file_name": stored.name,
    }
    if call.state.traits.name == "napcat":
        answer["base64"] = base64.b64encode(stored.content).decode()
    return answer


async def nc_get_rkey(call: Call) -> object:
    """Return the keys of addresses."""
    key = call.state.pictures.url("any").rpartition("rkey=")[2]
    return [{"rkey": f"&rkey={key}", "ttl": int(call.state.options.rkey_seconds), "type": 10}]


async def download_file_stream(call: Call) -> object:
    """Send a file in several frames with one echo."""
    stored = call.state.pictures.find(words(call.params, "file") or words(call.params, "file_id"))
    if stored is None:
        raise refused("file not found")
    size = len(stored.content)
    call.send_part({"type": "stream", "data_type": "file_info", "file_name": stored.name, "file_size": size})
    chunks = range(0, size, _CHUNK)
    for index, start in enumerate(chunks):
        content = base64.b64encode(stored.content[start : start + _CHUNK]).decode()
        call.send_part({"type": "stream", "data_type": "file_chunk", "index": index, "data": content})
    return {
        "type": "response",
        "data_type": "file_complete",
        "total_chunks": len(chunks),
        "total_bytes": size,
    }


async def upload_file_stream(call: Call) -> object:
    """Take one chunk of a file; the call that completes it gives the name."""
    stream = words(call.params, "stream_id")
    chunks = call.state.uploads.setdefault(stream, [])
    while len(call.state.uploads) > MAX_UPLOADS:
        del call.state.uploads[next(iter(call.state.uploads))]
    if boolean(call.params, "is_complete", default=False):
        stored = call.state.pictures.store(b"".join(call.state.uploads.pop(stream)), ".bin")
        path, size = stored.name, len(stored.content)
        return {"type": "response", "status": "file_complete", "file_path": path, "file_size": size}
    try:
        chunks.append(base64.b64decode(words(call.params, "chunk_data"), validate=True))
    except binascii.Error as exc:
        raise bad_params("chunk_data must be base64") from exc
    if sum(map(len, chunks)) > MAX_UPLOAD_BYTES:
        del call.state.uploads[stream]
        raise refused("file is too large")
    received, total = len(chunks), integer(call.params, "total_chunks", 1)
    return {"type": "stream", "status": "chunk_received", "received_chunks": received, "total_chunks": total}
