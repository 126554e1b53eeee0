"""What a Python client of tern's echo says, whatever library it is of."""

import asyncio

TEXT = [f"message {i} – {'ä' * i}" for i in range(200)]
MEBIBYTE = bytes((i * 31 + (i >> 7)) % 256 for i in range(1 << 20))
BINARY = [MEBIBYTE, b"", MEBIBYTE[1:70000], MEBIBYTE]


async def hold(client, version):
    """`client` has `echo(messages, code, reason, compressed)` and `refused(origin)`."""
    return {
        "version": version,
        "text": await client.echo(TEXT),
        "plain": await client.echo(TEXT, compressed=False),
        "binary": await client.echo(BINARY),
        "own_code": await client.echo(["x"], 4321, "own"),
        "many": await asyncio.gather(*(client.echo(TEXT[i:i + 10]) for i in range(20))),
        "stranger": await client.refused("https://evil.example"),
    }
