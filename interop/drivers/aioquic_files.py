"""An ASGI application for aioquic's example server: the files of $WWW."""

import os
import pathlib

ROOT = pathlib.Path(os.environ["WWW"])
PIECE = 64 * 1024


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    file = ROOT / scope["path"].lstrip("/")
    status = 200 if file.is_file() and file.parent == ROOT else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    body = file.read_bytes() if status == 200 else b""
    for at in range(0, len(body), PIECE):
        await send({"type": "http.response.body", "body": body[at:at + PIECE], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
