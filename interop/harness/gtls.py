"""Reads what gtlsclient and gtlsserver print: proof that a QUIC feature was really used.

The log is ngtcp2's: a line a packet (`pkt rx|tx …`) and a line a frame (`frm rx|tx …`), from the
view of the peer that wrote it.
"""

import re

V1, V2 = "0x00000001", "0x6b3343cf"

# --ciphers: TLS_CHACHA20_POLY1305_SHA256 alone.
CHACHA20 = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305"


class GtlsLog:
    def __init__(self, text):
        self.text = text

    def has(self, pattern):
        return re.search(pattern, self.text) is not None

    def count(self, pattern):
        return len(re.findall(pattern, self.text))

    @property
    def handshakes(self):
        return self.count(r"QUIC handshake has completed")

    def versions(self, direction, kind):
        """Versions of the long-header packets of one kind (Initial, Handshake) sent or received."""
        return set(re.findall(rf"pkt {direction} .*version=(0x[0-9a-f]+) type={kind}\b", self.text))

    def retries(self, direction):
        return self.count(rf"pkt {direction} .*type=Retry\b")

    def key_phase(self, direction, phase=1):
        return self.count(rf"pkt {direction} .*type=1RTT k={phase}\b")

    @property
    def key_update_confirmed(self):
        return self.has(r"key update confirmed")

    def zero_rtt_request(self, direction):
        """A request stream's bytes in a 0-RTT packet; one received was decrypted, so accepted."""
        return self.has(rf"frm {direction} \S+ 0RTT STREAM\(\w+\) id=0x0 ")

    def requests_after_handshake(self, direction):
        """Request bytes on stream 0 in 1-RTT packets: rejected early data is sent again there."""
        return self.count(rf"frm {direction} \S+ 1RTT STREAM\(\w+\) id=0x0 .*len=[1-9]")

    def server_flight(self, direction):
        """Bytes of the server's Handshake CRYPTO: with a certificate hundreds, resumed fewer."""
        ends = re.findall(
            rf"frm {direction} \S+ Handshake CRYPTO\(\w+\) offset=(\d+) len=(\d+)", self.text)
        return max((int(offset) + int(length) for offset, length in ends), default=0)

    def paths(self):
        """The client's own addresses (client log), in the order they were first sent from."""
        return list(dict.fromkeys(re.findall(r"Sent packet: local=(\S+)", self.text)))

    def remotes(self):
        """The peer's addresses, in the order packets first came from them."""
        return list(dict.fromkeys(re.findall(r"Received packet: .*?remote=(\S+)", self.text)))

    def frames(self, direction, name):
        return self.count(rf"frm {direction} \S+ 1RTT {name}\(")

    @property
    def path_validated(self):
        return self.has(r"path has been validated") or self.has(r"Path validation .* succeeded")

    @property
    def cipher(self):
        found = re.search(r"Negotiated cipher suite is (\S+)", self.text)
        return found.group(1) if found else ""

    @property
    def statuses(self):
        return [int(status) for status in re.findall(r"\[:status: (\d+)\]", self.text)]
