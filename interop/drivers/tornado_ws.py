"""Tornado's WebSockets: tornado_ws.py server PORT [CERT KEY] for `tern ws`, tornado_ws.py client URL CA of tern's demo site.

The server's /echo sends back what comes, /close closes with 4002. The client prints one JSON object with what came of
each conversation; it decides nothing, interop/run does.
"""

import asyncio
import json
import ssl
import sys

import tornado
import tornado.httpclient
import tornado.httpserver
import tornado.web
import tornado.websocket

import conversations

LARGE = 1 << 30


# ---- the server

class Echo(tornado.websocket.WebSocketHandler):
    def check_origin(self, origin):
        return True

    def get_compression_options(self):
        return {}

    async def on_message(self, message):
        if self.request.path == "/close":
            self.close(4002, "the server says so")
        else:
            await self.write_message(message, binary=isinstance(message, bytes))


async def run_server(port, *files):
    tls = None
    if files:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
    application = tornado.web.Application([("/.*", Echo)], websocket_max_message_size=LARGE,
                                          log_function=lambda handler: None)
    tornado.httpserver.HTTPServer(application, ssl_options=tls).listen(int(port), "127.0.0.1")
    print("READY", flush=True)
    await asyncio.Future()


# ---- the client

class Client:
    def __init__(self, url, authority):
        self.url = url
        self.authority = authority

    def connect(self, origin=None):
        # Without permessage-deflate: Tornado 6.2 overlooks parameters without a value, such as the server's
        # client_no_context_takeover, and goes on with its window.
        request = tornado.httpclient.HTTPRequest(
            self.url, ca_certs=self.authority, headers={"Origin": origin} if origin else {})
        return tornado.websocket.websocket_connect(request, max_message_size=LARGE)

    async def echo(self, messages, code=1000, reason="", compressed=True):
        socket = await self.connect()
        async def send():
            for message in messages:
                await socket.write_message(message, binary=isinstance(message, bytes))
        sending = asyncio.create_task(send())
        wrong = 0
        for message in messages:
            wrong += await socket.read_message() != message
        await sending
        socket.close(code, reason)
        await socket.read_message()  # nothing: the server has answered the close
        extensions = socket.headers.get("Sec-WebSocket-Extensions", "")
        return {"messages": len(messages), "wrong": wrong, "code": socket.close_code,
                "extensions": [each for each in [extensions.partition(";")[0]] if each]}

    async def refused(self, origin):
        try:
            await self.connect(origin=origin)
            return {"opened": True}
        except tornado.httpclient.HTTPClientError as problem:
            return {"status": problem.code}


async def main(role, *arguments):
    if role == "server":
        return await run_server(*arguments)
    print(json.dumps(await conversations.hold(Client(*arguments), tornado.version)))


asyncio.run(main(*sys.argv[1:]))
