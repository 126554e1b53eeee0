"""An ASGI application for aioquic's example server: the files of $WWW, and an echo over WebSocket and
WebTransport."""

import os
import pathlib

ROOT = pathlib.Path(os.environ.get("WWW", "/nowhere"))
PIECE = 64 * 1024


async def echo(scope, receive, send):
    await receive()
    subprotocol = "echo" if "echo" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    while (message := await receive())["type"] == "websocket.receive":
        kind = "text" if "text" in message else "bytes"
        await send({"type": "websocket.send", kind: message[kind]})


async def echo_session(receive, send):
    """Bytes of a client's stream go back on it, datagrams as datagrams; it does not say when a stream has ended."""
    await receive()
    await send({"type": "webtransport.accept"})
    while True:
        message = await receive()
        if message["type"] == "webtransport.datagram.receive":
            await send({"type": "webtransport.datagram.send", "data": message["data"]})
        elif message["type"] == "webtransport.stream.receive":
            await send({"type": "webtransport.stream.send", "data": message["data"],
                        "stream": message["stream"]})
        else:
            return


async def app(scope, receive, send):
    if scope["type"] == "webtransport":
        return await echo_session(receive, send)
    if scope["type"] == "websocket":
        return await echo(scope, receive, send)
    if scope["type"] != "http":
        return
    file = ROOT / scope["path"].lstrip("/")
    status = 200 if file.is_file() and file.parent == ROOT else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    body = file.read_bytes() if status == 200 else b""
    # The end goes with the last piece: aioquic 1.2 loses an end by itself when the packet that it
    # would go into is full (get_frame() has taken note of it, then start_frame() finds no room).
    for at in range(0, max(len(body), 1), PIECE):
        await send({"type": "http.response.body", "body": body[at:at + PIECE],
                    "more_body": at + PIECE < len(body)})
