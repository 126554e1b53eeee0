"""Python's websockets as a server for `tern ws`: websockets_server.py PORT [CERT KEY]

/echo sends back what comes, /fragments each message in three fragments, /close closes with 4002.
"""

import asyncio
import ssl
import sys

import websockets

PORT, *FILES = sys.argv[1:]


async def serve(socket, path=None):
    path = path or getattr(socket, "path", None) or socket.request.path
    async for message in socket:
        if path == "/close":
            await socket.close(4002, "the server says so")
            return
        if path == "/fragments":
            third = -(-len(message) // 3)
            await socket.send([message[:third], message[third:2 * third], message[2 * third:]])
        else:
            await socket.send(message)


async def main():
    tls = None
    if FILES:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*FILES)
    async with websockets.serve(serve, "127.0.0.1", int(PORT), ssl=tls, max_size=None):
        print("READY", flush=True)
        await asyncio.Future()


asyncio.run(main())
