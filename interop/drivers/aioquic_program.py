"""Runs a program of aioquic's examples with what aioquic can do and the program has no flag for:

  CHACHA20_ONLY=1 KEY_UPDATE=1 python3 aioquic_program.py EXAMPLE.py ARGUMENT…
"""

import os
import runpy
import sys

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import CipherSuite


def chacha20_only():
    make = QuicConfiguration.__init__

    def make_with_suite(self, *arguments, **named):
        make(self, *arguments, **named)
        self.cipher_suites = [CipherSuite.CHACHA20_POLY1305_SHA256]

    QuicConfiguration.__init__ = make_with_suite


def key_update():
    connected = QuicConnectionProtocol.wait_connected

    async def update_when_connected(self):
        await connected(self)
        await self.ping()  # HANDSHAKE_DONE comes no later than the acknowledgement (RFC 9001 §6)
        self.request_key_update()

    QuicConnectionProtocol.wait_connected = update_when_connected


if os.environ.get("CHACHA20_ONLY"):
    chacha20_only()
if os.environ.get("KEY_UPDATE"):
    key_update()
del sys.argv[0]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
