"""The server of gRPC's negative HTTP/2 tests (doc/http2-interop-test-descriptions.md of grpc/grpc), on python3-h2, in
clear text: h2_negative.py PORT CASE

Says "listening", then a line for each thing that the server has to assert: "connection", "violation: …",
"unanswered pings: N" when a connection ends.
"""

import itertools
import socket
import struct
import sys
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame

PORT, CASE = int(sys.argv[1]), sys.argv[2]
SIZE = 314159
HEAD = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"),)
RESETS = ("rst_after_header", "rst_during_data", "rst_after_data")
# Bytes of a message and of padding in each DATA frame.
FRAMES = {"data_frame_padding": (5, 255), "no_df_padding_sanity_test": (5, 0)}


def varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def message():
    """SimpleResponse{payload: {body: zeros}}, in gRPC's envelope."""
    bytes_ = field(1, field(2, bytes(SIZE)))
    return b"\0" + struct.pack(">I", len(bytes_)) + bytes_


class Connection:
    def __init__(self, link):
        self.link = link
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.pending = {}  # what is left of each answer
        self.pings = itertools.count()
        self.unanswered = 0

    def say(self, text):
        print(text, flush=True)

    def send(self):
        self.link.sendall(self.h2.data_to_send())

    def serve(self):
        self.say("connection")
        self.h2.initiate_connection()
        if CASE == "max_streams":
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        self.send()
        try:
            while data := self.link.recv(65536):
                for event in self.h2.receive_data(data):
                    self.handle(event)
                self.flush()
                self.send()
        except h2.exceptions.ProtocolError as error:
            self.say(f"violation: {error!r}")
        except OSError:
            pass
        self.link.close()
        self.say(f"unanswered pings: {self.unanswered}")

    def handle(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.answer(event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            self.unanswered -= 1
        elif isinstance(event, h2.events.StreamReset):
            self.pending.pop(event.stream_id, None)

    def ping(self):
        if CASE == "ping":
            self.h2.ping(struct.pack(">Q", next(self.pings)))
            self.unanswered += 1

    def answer(self, stream):
        self.ping()
        self.h2.send_headers(stream, HEAD)
        self.ping()
        if CASE == "goaway":
            # The frame alone: h2's own way would end the connection before the answer.
            self.link.sendall(self.h2.data_to_send() + GoAwayFrame(0, last_stream_id=stream).serialize())
        self.pending[stream] = message()
        if CASE == "rst_after_header":
            self.reset(stream)
        elif CASE == "rst_during_data":
            self.pending[stream] = message()[:SIZE // 2]

    def reset(self, stream):
        del self.pending[stream]
        self.h2.reset_stream(stream, error_code=0)

    def flush(self):
        size, padding = FRAMES.get(CASE, (self.h2.max_outbound_frame_size, None))
        for stream, rest in list(self.pending.items()):
            whole = 0 if padding is None else padding + 1
            while rest and self.h2.local_flow_control_window(stream) >= min(size, len(rest)) + whole:
                piece = rest[:size]
                self.h2.send_data(stream, piece, pad_length=padding or None)
                rest = rest[len(piece):]
            if padding is None and rest and (room := self.h2.local_flow_control_window(stream)) > 0:
                self.h2.send_data(stream, rest[:room])
                rest = rest[room:]
            self.pending[stream] = rest
            if rest:
                continue
            self.ping()
            if CASE in RESETS:
                self.reset(stream)
            else:
                del self.pending[stream]
                self.h2.send_headers(stream, TRAILERS, end_stream=True)


def main():
    with socket.create_server(("127.0.0.1", PORT)) as server:
        print("listening", flush=True)
        while True:
            link, _ = server.accept()
            threading.Thread(target=Connection(link).serve, daemon=True).start()


main()
