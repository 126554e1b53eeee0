"""Python's websockets as a client of tern's demo site: websockets_client.py URL CA

Prints one JSON object with what came of each conversation; it decides nothing, interop/run does.
"""

import asyncio
import json
import ssl
import sys

import websockets

import conversations

URL, CA = sys.argv[1:]


def connect(**options):
    tls = ssl.create_default_context(cafile=CA) if URL.startswith("wss:") else None
    return websockets.connect(URL, ssl=tls, max_size=None, **options)


def ended(socket, **seen):
    return {**seen, "code": socket.close_code, "reason": socket.close_reason}


class Client:
    async def echo(self, messages, code=1000, reason="", compressed=True):
        async with connect(compression="deflate" if compressed else None) as socket:
            async def send():
                for message in messages:
                    await socket.send(message)
            sending = asyncio.create_task(send())
            wrong = 0
            for message in messages:
                wrong += await socket.recv() != message
            await sending
            await socket.close(code, reason)
            return ended(socket, messages=len(messages), wrong=wrong, protocol=socket.subprotocol,
                         extensions=[each.name for each in getattr(socket, "extensions", [])
                                     or getattr(getattr(socket, "protocol", None), "extensions", [])])

    async def refused(self, origin):
        try:
            async with connect(origin=origin):
                return {"opened": True}
        except Exception as problem:  # InvalidStatusCode of version 10, InvalidStatus of version 14
            response = getattr(problem, "response", None)
            return {"status": getattr(problem, "status_code", None) or response.status_code}


async def fragments():
    """One message from an iterator: a fragment for each piece; pings go in between."""
    async with connect() as socket:
        async def pieces():
            for piece in ("one ä", " two", " three"):
                yield piece
                await (await socket.ping("between"))
        await socket.send(pieces())
        message = await socket.recv()
        await socket.close()
        return ended(socket, message=message)


async def main():
    seen = await conversations.hold(Client(), websockets.version.version)
    print(json.dumps(seen | {"fragments": await fragments()}))


asyncio.run(main())
