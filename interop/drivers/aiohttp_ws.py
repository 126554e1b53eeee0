"""aiohttp's WebSockets: aiohttp_ws.py server PORT [CERT KEY] for `tern ws`, aiohttp_ws.py client URL CA of tern's demo site.

The server's /echo sends back what comes, /close closes with 4002. The client prints one JSON object with what came of
each conversation; it decides nothing, interop/run does.
"""

import asyncio
import json
import ssl
import sys

import aiohttp
from aiohttp import web

import conversations


# ---- the server

async def serve(request):
    socket = web.WebSocketResponse(compress=True, max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if request.path == "/close":
            await socket.close(code=4002, message=b"the server says so")
        elif message.type == aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def run_server(port, *files):
    tls = None
    if files:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
    application = web.Application()
    application.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port), ssl_context=tls).start()
    print("READY", flush=True)
    await asyncio.Future()


# ---- the client

class Client:
    def __init__(self, url, authority):
        self.url = url
        self.tls = ssl.create_default_context(cafile=authority) if url.startswith("wss:") else None

    def connect(self, session, compressed=True, origin=None):
        return session.ws_connect(self.url, ssl=self.tls, compress=15 if compressed else 0, max_msg_size=0,
                                  origin=origin)

    async def echo(self, messages, code=1000, reason="", compressed=True):
        async with aiohttp.ClientSession() as session, self.connect(session, compressed) as socket:
            async def send():
                for message in messages:
                    await (socket.send_str if isinstance(message, str) else socket.send_bytes)(message)
            sending = asyncio.create_task(send())
            wrong = 0
            for message in messages:
                wrong += (await socket.receive()).data != message
            await sending
            await socket.close(code=code, message=reason.encode())
            return {"messages": len(messages), "wrong": wrong, "code": socket.close_code,
                    "extensions": ["permessage-deflate"] if socket.compress else []}

    async def refused(self, origin):
        async with aiohttp.ClientSession() as session:
            try:
                async with self.connect(session, origin=origin):
                    return {"opened": True}
            except aiohttp.WSServerHandshakeError as problem:
                return {"status": problem.status}


async def main(role, *arguments):
    if role == "server":
        return await run_server(*arguments)
    print(json.dumps(await conversations.hold(Client(*arguments), aiohttp.__version__)))


asyncio.run(main(*sys.argv[1:]))
