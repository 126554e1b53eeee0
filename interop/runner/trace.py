"""Reads a capture of the path: every QUIC packet of it, decrypted where the key log allows.

A `Trace` is one side's capture. Its packets are in the order they were seen, as the interop
runner's own checks get them from Wireshark.
"""

import dataclasses
import enum
import struct

from runner.frames import (
    CLIENT_HELLO, CRYPTO, ENCRYPTED_EXTENSIONS, NEW_CONNECTION_ID, PREFERRED_ADDRESS, SERVER_HELLO,
    CryptoStream, Malformed, Reader, read_client_hello, read_frames, read_server_hello,
    transport_parameters)
from runner.protection import (V1, V2, Keys, Undecryptable, full_number, initial_keys, unprotect)


class Kind(enum.Enum):
    INITIAL = "Initial"
    ZERO_RTT = "0-RTT"
    HANDSHAKE = "Handshake"
    RETRY = "Retry"
    ONE_RTT = "1-RTT"
    VERSION_NEGOTIATION = "Version Negotiation"


_LONG = {V1: [Kind.INITIAL, Kind.ZERO_RTT, Kind.HANDSHAKE, Kind.RETRY],
         V2: [Kind.RETRY, Kind.INITIAL, Kind.ZERO_RTT, Kind.HANDSHAKE]}


@dataclasses.dataclass
class Packet:
    """A QUIC packet. What protection hides is None where it could not be removed."""
    datagram: "Datagram"
    kind: Kind
    version: int | None = None
    dcid: bytes = b""
    scid: bytes = b""
    token: bytes = b""  # of an Initial, or a Retry's
    number: int | None = None
    key_phase: int | None = None
    protected: int = 0  # bytes of payload, sealed
    frames: list | None = None

    def frame_data(self, kind):
        return [frame.data for frame in self.frames or [] if frame.type == kind]

    def has_frame(self, *kinds):
        return any(frame.type in kinds for frame in self.frames or [])


@dataclasses.dataclass
class Datagram:
    time: float
    from_client: bool
    ip_version: int
    source: tuple  # (address, port)
    destination: tuple
    ecn: int
    size: int  # of the UDP payload
    packets: list = dataclasses.field(default_factory=list)

    @property
    def path(self):
        return self.source, self.destination


class Connection:
    """What the reader has to remember of one connection."""

    def __init__(self, dcid):
        self.initial = {version: initial_keys(version, dcid) for version in (V1, V2)}
        self.keys = {}  # (kind, from_client) -> Keys; ONE_RTT's for the phase in use
        self.next_keys = {}  # from_client -> Keys after the next update
        self.phase = {True: 0, False: 0}
        self.largest = {}
        self.crypto = {}  # (kind, from_client) -> CryptoStream
        self.retried = False
        self.client_hello = None
        self.suite = None
        self.version = V1

    def stream(self, kind, from_client):
        return self.crypto.setdefault((kind, from_client), CryptoStream())

    def server_parameters(self):
        """{id: bytes} of the server's transport parameters, as far as they have been read."""
        for kind, body in self.stream(Kind.HANDSHAKE, False).messages():
            if kind == ENCRYPTED_EXTENSIONS:
                return transport_parameters(body)
        return {}

    def learn(self, secrets):
        """After more of the handshake has been read: the TLS secrets' keys, once they are known."""
        if self.client_hello is None:
            for kind, body in self.stream(Kind.INITIAL, True).messages():
                if kind == CLIENT_HELLO:
                    self.client_hello = read_client_hello(body)
        if self.suite is None:
            for kind, body in self.stream(Kind.INITIAL, False).messages():
                if kind == SERVER_HELLO:
                    self.suite = read_server_hello(body)
        if self.client_hello is None or self.suite is None or (Kind.ONE_RTT, True) in self.keys:
            return
        known = secrets.get(self.client_hello.random, {})
        for side, from_client in (("CLIENT", True), ("SERVER", False)):
            for label, kind in (("HANDSHAKE_TRAFFIC_SECRET", Kind.HANDSHAKE),
                                ("TRAFFIC_SECRET_0", Kind.ONE_RTT),
                                ("EARLY_TRAFFIC_SECRET", Kind.ZERO_RTT)):
                secret = known.get(f"{side}_{label}")
                if secret is not None:
                    self.keys[kind, from_client] = Keys(self.version, self.suite, secret)


class Trace:
    """What goes to and comes from the server: other datagrams are none of the runner's.

    `secrets` as read_key_logs gives them; `is_server` takes an IP address.
    """

    def __init__(self, path, secrets, is_server):
        self._secrets = secrets
        self._by_cid = {}  # (it is the client's, connection ID) -> Connection
        self._lengths = {True: set(), False: set()}  # of those connection IDs
        self.connections = []
        self.datagrams = []
        for time, packet in _read_pcap(path):
            datagram, payload = _read_ip(time, packet, is_server)
            if datagram is None:
                continue
            self._read(datagram, payload)
            self.datagrams.append(datagram)

    def packets(self, kind=None, from_client=None):
        for datagram in self.datagrams:
            if from_client is not None and datagram.from_client != from_client:
                continue
            for packet in datagram.packets:
                if kind is None or packet.kind is kind:
                    yield packet

    def of(self, from_client):
        """Datagrams of one side that hold a QUIC packet."""
        return [each for each in self.datagrams if each.from_client == from_client and each.packets]

    # ---- reading

    def _read(self, datagram, payload):
        while payload:
            try:
                packet, connection, body, offset, size = self._header(datagram, payload)
            except (Malformed, IndexError):
                return  # damaged on the way, or padding
            datagram.packets.append(packet)
            if connection is not None and packet.kind not in (Kind.RETRY, Kind.VERSION_NEGOTIATION):
                try:
                    self._open(connection, packet, body, offset)
                except (Undecryptable, Malformed, KeyError):
                    pass
            payload = payload[size:]

    def _header(self, datagram, payload):
        """(packet, its connection, its bytes, where the packet number is, size)."""
        if not payload[0] & 0x80:
            to_client = not datagram.from_client
            for length in sorted(self._lengths[to_client], reverse=True):
                connection = self._by_cid.get((to_client, payload[1:1 + length]))
                if connection is not None:
                    break
            else:
                raise Malformed("a connection ID nobody knows")
            packet = Packet(datagram, Kind.ONE_RTT, connection.version, payload[1:1 + length],
                            protected=len(payload) - length - 2)
            return packet, connection, payload, 1 + length, len(payload)
        reader = Reader(payload, 1)
        version = reader.number(4)
        dcid = reader.bytes(reader.number(1))
        scid = reader.bytes(reader.number(1))
        if version == 0:
            packet = Packet(datagram, Kind.VERSION_NEGOTIATION, 0, dcid, scid)
            return packet, None, payload, 0, len(payload)
        if version not in _LONG:
            raise Malformed("another version")
        packet = Packet(datagram, _LONG[version][(payload[0] >> 4) & 3], version, dcid, scid)
        connection = self._by_cid.get((not datagram.from_client, dcid))
        if packet.kind is Kind.RETRY:
            packet.token = payload[reader.at:-16]
            # The keys change with it (RFC 9001, section 5.2); a client heeds the first alone.
            if connection is not None and not connection.retried:
                connection.retried = True
                connection.initial = {each: initial_keys(each, scid) for each in (V1, V2)}
                self._know(scid, connection, False)
            return packet, connection, payload, 0, len(payload)
        if packet.kind is Kind.INITIAL:
            packet.token = reader.bytes(reader.varint())
            if connection is None and datagram.from_client:
                connection = Connection(dcid)
        length = reader.varint()
        if length > reader.rest:
            raise Malformed("cut short")
        packet.protected = length
        size = reader.at + length
        return packet, connection, payload[:size], reader.at, size

    def _know(self, cid, connection, clients):
        self._by_cid[clients, cid] = connection
        self._lengths[clients].add(len(cid))

    def _open(self, connection, packet, body, offset):
        side = packet.datagram.from_client
        if packet.kind is Kind.INITIAL:
            keys = connection.initial[packet.version][0 if side else 1]
        else:
            keys = connection.keys[packet.kind, side]
        header, low, length = unprotect(keys, body, offset)
        space = (Kind.ONE_RTT if packet.kind is Kind.ZERO_RTT else packet.kind, side)
        number = full_number(low, length, connection.largest.get(space, -1))
        sealed = body[offset + length:]
        if packet.kind is Kind.ONE_RTT:
            payload = self._open_one_rtt(connection, side, number, header, sealed)
            packet.key_phase = (header[0] >> 2) & 1
            packet.protected = len(sealed)
        else:
            payload = keys.open(number, header, sealed)
        packet.number = number
        connection.largest[space] = max(number, connection.largest.get(space, -1))
        if packet.kind in (Kind.INITIAL, Kind.HANDSHAKE):
            if connection not in self.connections:
                self.connections.append(connection)
                self._know(packet.dcid, connection, not side)
            self._know(packet.scid, connection, side)
            if not side:
                connection.version = packet.version
        packet.frames = read_frames(payload)
        self._learn(connection, packet)

    @staticmethod
    def _open_one_rtt(connection, side, number, header, sealed):
        phase = (header[0] >> 2) & 1
        if phase == connection.phase[side]:
            return connection.keys[Kind.ONE_RTT, side].open(number, header, sealed)
        if side not in connection.next_keys:
            connection.next_keys[side] = connection.keys[Kind.ONE_RTT, side].following()
        payload = connection.next_keys[side].open(number, header, sealed)
        connection.keys[Kind.ONE_RTT, side] = connection.next_keys.pop(side)
        connection.phase[side] = phase
        return payload

    def _learn(self, connection, packet):
        side = packet.datagram.from_client
        handshake = packet.kind in (Kind.INITIAL, Kind.HANDSHAKE)
        for frame in packet.frames:
            if frame.type == CRYPTO and handshake:
                connection.stream(packet.kind, side).add(frame)
            elif frame.type == NEW_CONNECTION_ID:
                self._know(frame.data, connection, side)
        if not handshake:
            return
        connection.learn(self._secrets)
        preferred = connection.server_parameters().get(PREFERRED_ADDRESS)
        if preferred:  # RFC 9000, section 18.2: two addresses with ports come before the ID
            self._know(Reader(preferred, 24).short(), connection, False)


def _read_pcap(path):
    data = path.read_bytes()
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, size, _ = struct.unpack_from("<IIII", data, at)
        at += 16
        yield seconds + fraction / 1e9, data[at:at + size]
        at += size


def _read_ip(time, packet, is_server):
    """(Datagram, UDP payload), or (None, b"") for what is not UDP to or from the server."""
    nothing = None, b""
    if packet[0] >> 4 == 4:
        start = 4 * (packet[0] & 15)
        protocol, ecn = packet[9], packet[1] & 3
        source, destination = packet[12:16], packet[16:20]
    else:
        start, protocol, ecn = 40, packet[6], (packet[1] >> 4) & 3
        source, destination = packet[8:24], packet[24:40]
    if protocol != 17 or len(packet) < start + 8:
        return nothing
    source_port, destination_port, length = struct.unpack_from("!HHH", packet, start)
    payload = packet[start + 8:start + length]
    from_client = is_server(destination)
    if not from_client and not is_server(source):
        return nothing
    return Datagram(time, from_client, packet[0] >> 4, (source, source_port),
                    (destination, destination_port), ecn, len(payload)), payload
