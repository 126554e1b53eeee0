"""QUIC frames and TLS handshake messages, as far as the runner's checks look at them."""

import dataclasses

CRYPTO, ACK, ACK_ECN = 0x06, 0x02, 0x03
NEW_CONNECTION_ID, PATH_CHALLENGE, PATH_RESPONSE = 0x18, 0x1A, 0x1B
CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 8, 11
_TRANSPORT_PARAMETERS = 0x39
INITIAL_MAX_STREAMS_BIDI, PREFERRED_ADDRESS = 0x08, 0x0D


class Malformed(Exception):
    """Not what RFC 9000 or RFC 8446 describe."""


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    @property
    def rest(self):
        return len(self.data) - self.at

    def bytes(self, count):
        if count > self.rest:
            raise Malformed("cut short")
        piece = self.data[self.at:self.at + count]
        self.at += count
        return piece

    def number(self, count):
        return int.from_bytes(self.bytes(count), "big")

    def varint(self):
        first = self.number(1)
        length = 1 << (first >> 6)
        return ((first & 0x3F) << (8 * (length - 1))) | self.number(length - 1)

    def short(self):
        """Bytes after one that says how many."""
        return self.bytes(self.number(1))

    def vector(self, count):
        """A TLS vector whose length takes `count` bytes."""
        return Reader(self.bytes(self.number(count)))


@dataclasses.dataclass
class Frame:
    type: int
    offset: int = 0  # of CRYPTO
    data: bytes = b""  # CRYPTO's; the ID of NEW_CONNECTION_ID; PATH_CHALLENGE's, PATH_RESPONSE's


# Frames that are nothing but varints: type -> how many.
_NUMBERS = {0x01: 0, 0x04: 3, 0x05: 2, 0x10: 1, 0x11: 2, 0x12: 1, 0x13: 1, 0x14: 1, 0x15: 2,
            0x16: 1, 0x17: 1, 0x19: 1, 0x1E: 0}


def read_frames(payload):
    reader, frames = Reader(payload), []
    while reader.rest:
        kind = reader.varint()
        if kind == 0:
            continue
        frame = Frame(kind)
        if kind in (ACK, ACK_ECN):
            reader.varint(), reader.varint()
            ranges = reader.varint()
            for _ in range(1 + 2 * ranges + (3 if kind == ACK_ECN else 0)):
                reader.varint()
        elif kind == CRYPTO:
            frame.offset = reader.varint()
            frame.data = reader.bytes(reader.varint())
        elif kind == 0x07:
            reader.bytes(reader.varint())
        elif 0x08 <= kind <= 0x0F:
            reader.varint()
            if kind & 4:
                reader.varint()
            reader.bytes(reader.varint() if kind & 2 else reader.rest)
        elif kind == NEW_CONNECTION_ID:
            reader.varint(), reader.varint()
            frame.data = reader.short()
            reader.bytes(16)
        elif kind in (PATH_CHALLENGE, PATH_RESPONSE):
            frame.data = reader.bytes(8)
        elif kind in (0x1C, 0x1D):
            reader.varint()
            if kind == 0x1C:
                reader.varint()
            reader.bytes(reader.varint())
        elif kind in (0x30, 0x31):
            reader.bytes(reader.varint() if kind & 1 else reader.rest)
        elif kind in _NUMBERS:
            for _ in range(_NUMBERS[kind]):
                reader.varint()
        else:
            raise Malformed(f"frame type {kind:#x}")
        frames.append(frame)
    return frames


class CryptoStream:
    """The handshake bytes of one direction at one level, put in order."""

    def __init__(self):
        self._pieces = {}
        self._ready = b""
        self.end = 0  # the highest offset seen, gaps or not

    def add(self, frame):
        self._pieces[frame.offset] = max(self._pieces.get(frame.offset, b""), frame.data, key=len)
        self.end = max(self.end, frame.offset + len(frame.data))
        for offset in sorted(self._pieces):
            if offset <= len(self._ready) < offset + len(self._pieces[offset]):
                self._ready += self._pieces[offset][len(self._ready) - offset:]

    def messages(self):
        """(type, body) of every complete message so far."""
        reader = Reader(self._ready)
        while reader.rest >= 4:
            kind, length = reader.number(1), reader.number(3)
            if reader.rest < length:
                return
            yield kind, reader.bytes(length)


@dataclasses.dataclass
class ClientHello:
    random: bytes
    suites: list


def read_client_hello(body):
    reader = Reader(body)
    reader.bytes(2)
    random = reader.bytes(32)
    reader.vector(1)
    suites = reader.vector(2)
    return ClientHello(random, [suites.number(2) for _ in range(suites.rest // 2)])


def read_server_hello(body):
    """The cipher suite."""
    reader = Reader(body)
    reader.bytes(34)
    reader.vector(1)
    return reader.number(2)


def transport_parameters(encrypted_extensions):
    """{id: bytes} of the server's."""
    extensions = Reader(encrypted_extensions).vector(2)
    while extensions.rest:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _TRANSPORT_PARAMETERS:
            parameters = {}
            while body.rest:
                identifier = body.varint()
                parameters[identifier] = body.bytes(body.varint())
            return parameters
    return {}
