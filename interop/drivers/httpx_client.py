"""python3-httpx (h2 and h11) against tern's demo site: httpx_client.py VERSION URL CA

Prints one JSON object with what came back, as node_client.mjs does; it decides nothing.
"""

import asyncio
import hashlib
import json
import sys

import httpx

VERSION, URL, CA = sys.argv[1:]
POSTED = bytes((i * 7 + (i >> 8)) % 256 for i in range(300_000))
# Over HTTP/1.1 httpx reads nothing before all is written.
UPLOAD = (bytes(range(251)) * 40_000)[:10_000_000 if VERSION == "h2" else 300_000]


def answer(response):
    return {"status": response.status_code, "length": len(response.content),
            "sha256": hashlib.sha256(response.content).hexdigest(),
            "type": response.headers.get("content-type", ""),
            "declared": response.headers.get("content-length", ""),
            "protocol": {"HTTP/2": "h2", "HTTP/1.1": "http/1.1"}.get(response.http_version, "?"),
            "altSvc": response.headers.get("alt-svc", "")}


async def pieces(body, size=65_521):
    for at in range(0, len(body), size):
        yield body[at:at + size]


async def main():
    limits = httpx.Limits(max_connections=6, max_keepalive_connections=6)
    async with httpx.AsyncClient(http2=VERSION == "h2", http1=VERSION != "h2", verify=CA,
                                 limits=limits, timeout=30) as client:
        async def request(method, path, **more):
            return answer(await client.request(method, URL + path, **more))
        seen = {
            "small": await request("GET", "/hello"),
            "large": await request("GET", "/bytes/20000000"),
            "post": await request("POST", "/echo", content=POSTED,
                                  headers={"content-type": "application/x-tern-interop"}),
            "head": await request("HEAD", "/bytes/1000"),
            "missing": await request("GET", "/no-such-page"),
            "upload": await request("POST", "/echo", content=pieces(UPLOAD)),
            "parallel": await asyncio.gather(
                *[request("GET", f"/bytes/{1000 + i}") for i in range(100)]),
        }
    print(json.dumps(seen))


asyncio.run(main())
