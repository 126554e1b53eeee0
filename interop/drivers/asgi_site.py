"""An ASGI application for hypercorn, uvicorn and daphne: tern's peers in interop/run.

The files of $WWW, /bytes/N, POST to /echo and /upload with the request's body, /old redirects to a file; WebSockets
at /echo and /close.
"""

import os
import pathlib
import re

ROOT = pathlib.Path(os.environ.get("WWW", "/nowhere"))
PIECE = 64 * 1024
PERIOD = bytes(range(251)) * 261


async def answer(send, status, body=b"", headers=()):
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"content-length", str(len(body)).encode()), *headers]})
    for at in range(0, max(len(body), 1), PIECE):
        await send({"type": "http.response.body", "body": body[at:at + PIECE],
                    "more_body": at + PIECE < len(body)})


async def echo(scope, receive, send):
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", value) for value in types]})
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def websocket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if scope["path"] == "/close":
            await send({"type": "websocket.close", "code": 4002, "reason": "the server says so"})
            return
        kind = "text" if message.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: message[kind]})


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await websocket(scope, receive, send)
    path = scope["path"]
    if path in ("/echo", "/upload"):
        return await echo(scope, receive, send)
    if path == "/old":
        return await answer(send, 302, headers=[(b"location", b"/small.txt")])
    if numbered := re.fullmatch(r"/bytes/(\d+)", path):
        count = int(numbered[1])
        return await answer(send, 200, (PERIOD * (count // len(PERIOD) + 1))[:count])
    file = ROOT / path.lstrip("/")
    found = file.is_file() and file.parent == ROOT
    body = file.read_bytes() if found else b"not here\n"
    if scope["method"] == "HEAD":
        await send({"type": "http.response.start", "status": 200 if found else 404,
                    "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body"})
        return
    await answer(send, 200 if found else 404, body)
