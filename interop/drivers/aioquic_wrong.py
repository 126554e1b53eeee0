"""A client that breaks one rule on each connection, made of aioquic:

  python3 aioquic_wrong.py PORT

Prints a JSON line a connection: the rule, the client's port, what was to come and what came.
"""

import concurrent.futures
import json
import socket
import ssl
import sys
import threading
import time

import pylsqpack
from aioquic import tls
from aioquic.buffer import Buffer
from aioquic.buffer import encode_uint_var as var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived, StreamReset
from aioquic.quic.packet import QuicPacketType

PATIENCE = 60.0  # seconds, for what has to come
AFTERWARDS = 0.3  # for what may come behind an answer
PACE = 0.03  # between two connections: a log may hold back what comes too thick


class Wrong(QuicConnection):
    """Sends frames and transport parameters that aioquic would not."""

    frames = ()
    parameters = staticmethod(lambda plain: plain)

    def _write_application(self, builder, network_path, now):
        if self.frames and self._handshake_complete:
            frames, self.frames = self.frames, ()
            builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[tls.Epoch.ONE_RTT])
            for kind, payload in frames:
                builder.start_frame(kind, capacity=len(payload) + 8).push_bytes(payload)
        super()._write_application(builder, network_path, now)

    def _serialize_transport_parameters(self):
        # aioquic 1.2 sends stateless_reset_token as a client, too, which is wrong by itself.
        return self.parameters(without(super()._serialize_transport_parameters(), 0x02))


# ---- HTTP/3 by hand

def frame(kind, payload=b""):
    return var(kind) + var(len(payload)) + payload


def prefixed(value, bits, first):
    """An integer of QPACK's (RFC 7541, section 5.1)."""
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out = bytearray([first | top])
    value -= top
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def section(*lines):
    """A field section of literals, whatever they are."""
    out = b"\0\0"
    for name, value in lines:
        out += prefixed(len(name), 3, 0x20) + name.encode() + prefixed(len(value), 7, 0) + value.encode()
    return out


def request(*more, method="GET", path="/hello", scheme="https", authority="localhost"):
    pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    return section(*[line for line in pseudo if line[1] is not None], *more)


SETTINGS = frame(4)
GET = frame(1, request())
POST = frame(1, request(("content-length", "3"), method="POST", path="/echo"))
ABC = frame(0, b"abc")
TRAILERS = frame(1, section(("x-sum", "1")))
PSEUDO = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/hello")]


def open_session(connection, control=SETTINGS):
    for stream, first in ((2, b"\0" + control), (6, b"\2"), (10, b"\3")):
        connection.send_stream_data(stream, first)


# ---- the rules: name -> (what is to come, what is done, what else)

RULES = {}


def rule(name, expected, *, control=SETTINGS, stream=GET, later=None, frames=(), **options):
    """`control` behind the control stream's type, `stream` as a request; `later` and `frames` when it is answered."""
    def begin(connection):
        open_session(connection, control)
        connection.send_stream_data(0, stream, end_stream=True)

    def go_on(connection):
        if later:
            later(connection)
        connection.frames = tuple(frames)
    RULES[name] = (expected, begin, go_on, options)


def fine(status=200):
    return ["answer", status]


def h3(code):
    return ["application", code]


def message(code=0x10e):
    return ["stream", code]


def quic(*codes):
    return ["transport", *codes]


def sends(stream, data, end=False):
    return lambda connection: connection.send_stream_data(stream, data, end_stream=end)


GENERAL, CREATION, CRITICAL, UNEXPECTED, FRAME, ID, SETTING, MISSING = 0x101, 0x103, 0x104, 0x105, 0x106, 0x108, 0x109, 0x10a
INCOMPLETE, DECOMPRESSION, ENCODER, DECODER = 0x10d, 0x200, 0x201, 0x202


def control_streams():
    rule("nothing wrong", fine())
    rule("grease", fine(), control=frame(4, var(0x21 + 0x1f * 7) + var(77)) + frame(0x21, b"x") + frame(0x40),
         stream=frame(0x21 + 0x1f * 5, b"y") + GET + frame(0x21), later=sends(14, var(0x21 + 0x1f * 9) + b"z", True))
    rule("GOAWAY before SETTINGS", h3(MISSING), control=frame(7, var(0)))
    rule("grease before SETTINGS", h3(MISSING), control=frame(0x21))
    rule("SETTINGS twice", h3(UNEXPECTED), control=SETTINGS + SETTINGS)
    rule("a setting twice", h3(SETTING), control=frame(4, (var(6) + var(1000)) * 2))
    for number in (2, 3, 4, 5):
        rule(f"HTTP/2's setting {number}", h3(SETTING), control=frame(4, var(number) + var(1)))
    rule("half a setting", h3(FRAME), control=frame(4, var(6)))
    rule("ENABLE_CONNECT_PROTOCOL is 2", h3(SETTING), control=frame(4, var(8) + var(2)))
    rule("H3_DATAGRAM is 2", h3(SETTING), control=frame(4, var(0x33) + var(2)))
    for kind, name in ((0, "DATA"), (1, "HEADERS"), (5, "PUSH_PROMISE"), (2, "PRIORITY"), (6, "PING"),
                       (8, "WINDOW_UPDATE"), (9, "CONTINUATION")):
        rule(f"{name} on the control stream", h3(UNEXPECTED), control=SETTINGS + frame(kind, b"x"))
    for kind in (0, 2, 3):
        rule(f"a second stream of type {kind}", h3(CREATION), later=sends(14, bytes([kind]) + SETTINGS))
    rule("a push stream", h3(CREATION), later=sends(14, b"\1\0"))
    for stream in (2, 6, 10):
        rule(f"the end of stream {stream}", h3(CRITICAL), later=sends(stream, b"", True))
        rule(f"a reset of stream {stream}", h3(CRITICAL), later=lambda c, s=stream: c.reset_stream(s, 0x100))
        rule(f"STOP_SENDING for stream {stream + 1}", h3(CRITICAL), frames=[(0x05, var(stream + 1) + var(0))])
    rule("MAX_PUSH_ID goes down", h3(ID), control=SETTINGS + frame(13, var(5)) + frame(13, var(4)))
    rule("MAX_PUSH_ID stays", fine(), control=SETTINGS + frame(13, var(5)) * 2)
    rule("MAX_PUSH_ID and a byte", h3(FRAME), control=SETTINGS + frame(13, var(5) + b"x"))
    rule("CANCEL_PUSH", h3(ID), control=SETTINGS + frame(3, var(0)))
    rule("GOAWAY goes up", h3(ID), control=SETTINGS + frame(7, var(4)) + frame(7, var(8)))
    rule("GOAWAY and a byte", h3(FRAME), control=SETTINGS + frame(7, var(4) + b"x"))
    rule("PRIORITY_UPDATE of no request", h3(ID), control=SETTINGS + frame(0xf0700, var(1) + b"u=1"))
    rule("PRIORITY_UPDATE above the limit", h3(ID), control=SETTINGS + frame(0xf0700, var(400_000) + b"u=1"))
    rule("PRIORITY_UPDATE of a push", h3(ID), control=SETTINGS + frame(0xf0701, var(3) + b"u=1"))
    rule("PRIORITY_UPDATE without an ID", h3(FRAME), control=SETTINGS + frame(0xf0700))


def request_streams():
    for kind, name in ((3, "CANCEL_PUSH"), (4, "SETTINGS"), (5, "PUSH_PROMISE"), (7, "GOAWAY"), (13, "MAX_PUSH_ID"),
                       (0xf0700, "PRIORITY_UPDATE"), (2, "PRIORITY"), (6, "PING"), (8, "WINDOW_UPDATE"),
                       (9, "CONTINUATION")):
        rule(f"{name} as a request", h3(UNEXPECTED), stream=frame(kind, var(0)) + GET)
    rule("trailers", fine(), stream=POST + ABC + TRAILERS)
    rule("DATA first", h3(UNEXPECTED), stream=ABC)
    rule("trailers twice", h3(UNEXPECTED), stream=POST + ABC + TRAILERS + TRAILERS)
    rule("DATA behind trailers", h3(UNEXPECTED), stream=POST + ABC + TRAILERS + ABC)
    rule("half a DATA frame", h3(FRAME), stream=GET + var(0) + var(10) + b"abc")
    rule("half a HEADERS frame", h3(FRAME), stream=var(1) + var(100) + b"\0\0")
    rule("half a frame type", h3(FRAME), stream=GET + b"\x40")
    rule("no frame", message(INCOMPLETE), stream=b"")
    rule("grease alone", message(INCOMPLETE), stream=frame(0x21))
    rule("a pseudo-header in trailers", message(), stream=POST + ABC + frame(1, section((":path", "/"))))
    rule("more than content-length", message(), stream=POST + frame(0, b"abcd"))
    rule("less than content-length", message(), stream=POST + frame(0, b"ab"))
    for name, fields in {
            "upper case": request(("X-A", "1")), "a blank in a name": request(("x a", "1")), "no name": request(("", "1")),
            "a line end": request(("x-a", "1\r\n2")), "NUL": request(("x-a", "1\0")), "a blank before": request(("x-a", " 1")),
            ":foo": section(*PSEUDO, (":foo", "1")), ":status": section(*PSEUDO, (":status", "200")),
            ":path twice": section(*PSEUDO, (":path", "/")),
            ":path late": section(*PSEUDO[:3], ("x-a", "1"), PSEUDO[3]),
            "no :method": request(method=None), "no :scheme": request(scheme=None), "no :path": request(path=None),
            "empty :path": request(path=""), "a path without /": request(path="hello"),
            "no :authority": request(authority=None), "empty :authority": request(authority=""),
            "a user in :authority": request(authority="u@localhost"), "another host": request(("host", "other.test")),
            "host twice": request(("host", "localhost"), ("host", "localhost")),
            "connection": request(("connection", "close")), "keep-alive": request(("keep-alive", "1")),
            "transfer-encoding": request(("transfer-encoding", "chunked")), "upgrade": request(("upgrade", "h2c")),
            "proxy-connection": request(("proxy-connection", "1")), "te: gzip": request(("te", "gzip")),
            "content-length: x": request(("content-length", "x")),
            "two lengths": request(("content-length", "0"), ("content-length", "1")),
            "CONNECT with :path": request(method="CONNECT"), "a GET with :protocol": request((":protocol", "websocket"))}.items():
        rule(f"fields: {name}", message(), stream=frame(1, fields))
    rule("te: trailers", fine(), stream=frame(1, request(("te", "trailers"))))
    rule("host alone", fine(), stream=frame(1, request(("host", "localhost"), authority=None)))
    rule("QPACK: static index 99", h3(DECOMPRESSION), stream=frame(1, b"\0\0" + prefixed(99, 6, 0xc0)))
    rule("QPACK: an entry that is not there", h3(DECOMPRESSION), stream=frame(1, b"\2\0\x80"))
    rule("QPACK: half a section", h3(DECOMPRESSION), stream=frame(1, b"\0"))
    rule("QPACK: capacity", h3(ENCODER), later=sends(6, prefixed(1 << 20, 5, 0x20)))
    rule("QPACK: a duplicate of nothing", h3(ENCODER), later=sends(6, b"\5"))
    rule("QPACK: increment 0", h3(DECODER), later=sends(10, b"\0"))
    rule("QPACK: acknowledgement of nothing", h3(DECODER), later=sends(10, b"\x80"))


CID, TOKEN = b"\1\2\3\4\5\6\7\x08", b"t" * 16


def stream_frame(stream, offset, data, end=False):
    return (0x0f if end else 0x0e, var(stream) + var(offset) + var(len(data)) + data)


def transport_frames():
    for name, code, kind, payload in (
            ("HANDSHAKE_DONE", 0xa, 0x1e, b""), ("NEW_TOKEN", 0xa, 0x07, var(1) + b"x"),
            ("RETIRE_CONNECTION_ID never issued", 0xa, 0x19, var(1000)),
            ("NEW_CONNECTION_ID that retires itself", 0x7, 0x18, var(9) + var(10) + b"\x08" + CID + TOKEN),
            ("a connection ID of no bytes", 0x7, 0x18, var(9) + var(0) + b"\0" + TOKEN),
            ("a connection ID of 21 bytes", 0x7, 0x18, var(9) + var(0) + b"\x15" + b"c" * 21 + TOKEN),
            ("a connection ID's number twice", 0xa, 0x18, var(1) + var(0) + b"\x08" + CID + TOKEN),
            ("a stream above the limit", 0x4, 0x0a, var(400_000) + var(1) + b"x"),
            ("a unidirectional stream above the limit", 0x4, 0x0a, var(400_002) + var(1) + b"x"),
            ("STREAM of ours", 0x5, 0x0a, var(3) + var(1) + b"x"),
            ("STREAM never opened", 0x5, 0x0a, var(201) + var(1) + b"x"),
            ("STOP_SENDING of theirs", 0x5, 0x05, var(2) + var(0)),
            ("STOP_SENDING never opened", 0x5, 0x05, var(201) + var(0)),
            ("MAX_STREAM_DATA of theirs", 0x5, 0x11, var(2) + var(10)),
            ("STREAM_DATA_BLOCKED of ours", 0x5, 0x15, var(3) + var(10)),
            ("MAX_STREAMS beyond 2^60", 0x7, 0x12, var((1 << 60) + 1)),
            ("STREAMS_BLOCKED beyond 2^60", 0x7, 0x16, var((1 << 60) + 1)),
            ("an unknown frame", 0x7, 0x3fff, b""), ("half a STREAM frame", 0x7, 0x0a, var(20) + var(16_000) + b"x"),
            ("ACK of the future", 0xa, 0x02, var(100_000) + var(0) * 3),
            ("ACK below 0", 0x7, 0x02, var(2) + var(0) + var(0) + var(5)),
            ("CRYPTO too far ahead", 0xd, 0x06, var(1 << 20) + var(1) + b"x"),
            ("TLS's KeyUpdate", 0x10a, 0x06, var(0) + var(5) + b"\x18\0\0\1\0"),
            ("RESET_STREAM beyond the limit", 0x3, 0x04, var(20) + var(0) + var(1 << 40))):
        rule(f"frame: {name}", quic(code), frames=[(kind, payload)])
    rule("frame: data beyond the limit", quic(0x3), frames=[stream_frame(20, 1 << 30, b"x")])
    rule("frame: another end", quic(0x6), frames=[stream_frame(20, 0, GET, True), stream_frame(20, len(GET), b"x", True)])
    rule("frame: another end, and HTTP/3 nonsense", quic(0x6), frames=[stream_frame(20, 0, b"x", True), stream_frame(20, 1, b"x", True)])
    rule("frame: data behind the end", quic(0x6), frames=[stream_frame(20, 0, GET, True), stream_frame(20, 1000, b"x")])
    rule("frame: RESET_STREAM before the end", quic(0x6), frames=[stream_frame(20, 0, GET), (0x04, var(20) + var(0) * 2)])
    rule("frame: twenty connection IDs", quic(0x9), frames=[
        (0x18, var(20 + i) + var(0) + b"\x08" + CID[:7] + bytes([i]) + bytes([i]) * 16) for i in range(20)])
    rule("frame: a datagram of nothing", h3(0x33), frames=[(0x31, var(0))])
    rule("frame: a datagram above the limit", h3(ID), frames=[(0x31, var(4) + var(1 << 20))])


def parameter(number, value):
    return var(number) + var(len(value)) + value


def without(plain, number):
    buffer, kept = Buffer(data=plain), b""
    while not buffer.eof():
        kind = buffer.pull_uint_var()
        value = buffer.pull_bytes(buffer.pull_uint_var())
        kept += b"" if kind == number else parameter(kind, value)
    return kept


def handshakes():
    for name, number, value in (
            ("stateless_reset_token", 2, TOKEN), ("original_destination_connection_id", 0, CID),
            ("retry_source_connection_id", 16, CID), ("preferred_address", 13, bytes(24) + b"\x08" + CID + TOKEN),
            ("ack_delay_exponent 21", 10, var(21)), ("max_ack_delay 2^14", 11, var(1 << 14)),
            ("max_udp_payload_size 1199", 3, var(1199)), ("active_connection_id_limit 1", 14, var(1)),
            ("initial_max_streams_bidi beyond 2^60", 8, var((1 << 60) + 1)), ("half an integer", 4, b"\xc0\0\0"),
            ("another initial_source_connection_id", 15, CID), ("disable_active_migration 1", 12, b"\1")):
        rule(f"parameters: {name}", quic(0x8),
             parameters=lambda plain, n=number, v=value: without(plain, n) + parameter(n, v))
    rule("parameters: no initial_source_connection_id", quic(0x8), parameters=lambda plain: without(plain, 15))
    rule("parameters: max_idle_timeout twice", quic(0x8), parameters=lambda plain: plain + parameter(1, var(7)))
    rule("parameters: a length too long", quic(0x8), parameters=lambda plain: plain + var(0x1234) + var(100) + b"x")
    rule("parameters: an unknown one", fine(), parameters=lambda plain: plain + parameter(0x1b5a, b"grease"))
    rule("an unknown ALPN", quic(0x178), alpn=["nonsense"])
    rule("no ALPN", quic(0x178), alpn=None)
    rule("an unknown SNI", fine(), sni="unknown.test")


# ---- one connection

class Attempt:
    def __init__(self, name, port):
        self.expected, self.begin, self.go_on, options = RULES[name]
        self.seen = {"rule": name, "expected": self.expected, "status": None, "reset": None, "close": None}
        self.connection = Wrong(configuration=QuicConfiguration(
            is_client=True, alpn_protocols=options.get("alpn", ["h3"]), verify_mode=ssl.CERT_NONE,
            server_name=options.get("sni", "localhost"), max_datagram_frame_size=65536))
        self.connection.parameters = options.get("parameters", lambda plain: plain)
        self.address = ("127.0.0.1", port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(self.address)
        self.seen["port"] = self.socket.getsockname()[1]
        self.body = b""
        self.deadline = time.monotonic() + PATIENCE

    def run(self):
        self.connection.connect(self.address, time.time())
        while time.monotonic() < self.deadline and self.seen["close"] is None:
            self.send()
            timer = self.connection.get_timer() or time.time() + 1
            self.socket.settimeout(max(0.001, min(AFTERWARDS, timer - time.time())))
            try:
                self.connection.receive_datagram(self.socket.recv(65536), self.address, time.time())
            except OSError:
                pass
            if (self.connection.get_timer() or time.time() + 1) <= time.time():
                self.connection.handle_timer(time.time())
            while event := self.connection.next_event():
                self.take(event)
            # aioquic 1.2 tells of it when three PTOs are over.
            if self.seen["close"] is None and self.connection._close_event is not None:
                self.take(self.connection._close_event)
        self.connection.close()
        self.send()
        self.socket.close()
        return self.seen

    def send(self):
        for data, _ in self.connection.datagrams_to_send(time.time()):
            try:
                self.socket.send(data)
            except OSError:
                pass

    def take(self, event):
        if isinstance(event, HandshakeCompleted):
            self.begin(self.connection)
        elif isinstance(event, StreamDataReceived) and event.stream_id == 0:
            self.body += event.data
            if event.end_stream:
                self.answered()
        elif isinstance(event, StreamReset) and event.stream_id == 0:
            self.seen["reset"] = event.error_code
            self.answered()
        elif isinstance(event, ConnectionTerminated):
            self.seen["close"] = event.error_code
            self.seen["layer"] = "application" if event.frame_type is None else "transport"
            self.seen["reason"] = event.reason_phrase

    def answered(self):
        """What breaks a rule only then comes now; the others show that nothing else happens."""
        if self.body:
            buffer = Buffer(data=self.body)
            buffer.pull_uint_var()
            fields = pylsqpack.Decoder(0, 0).feed_header(0, buffer.pull_bytes(buffer.pull_uint_var()))[1]
            self.seen["status"] = int(dict(fields)[b":status"])
        self.go_on(self.connection)
        if self.expected[0] in ("answer", "stream"):
            self.deadline = time.monotonic() + AFTERWARDS


def as_expected(seen):
    kind, *wanted = seen["expected"]
    if kind == "answer":
        return seen["status"] in wanted and seen["close"] is None
    if kind == "stream":
        return seen["reset"] in wanted and seen["close"] is None
    return seen["close"] in wanted and seen["layer"] == kind and seen["reason"] != ""


last_begin = 0.0
pacing = threading.Lock()


def attempt(name):
    global last_begin
    with pacing:  # who has been late does not catch up
        time.sleep(max(0.0, last_begin + PACE - time.monotonic()))
        last_begin = time.monotonic()
    seen = Attempt(name, int(sys.argv[1])).run()
    return json.dumps({**seen, "good": as_expected(seen)})


for make in (control_streams, request_streams, transport_frames, handshakes):
    make()
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    for line in pool.map(attempt, RULES):
        print(line, flush=True)
