"""A WebSocket client over HTTP/2 (RFC 8441) on python3-h2: h2_ws_client.py URL CA SIZE WINDOW PAUSE

Sends one binary message of SIZE bytes in frames of 4 KiB and wants it back, while the server may send WINDOW bytes at a time: the
stream's window is opened when it is used up, and PAUSE seconds later. python3-h2 ends with an error when the server sends more.
Prints one JSON object.
"""

import json
import socket
import ssl
import struct
import sys
import time
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.settings

FRAME = 4096


def frames(size):
    """The message, each frame masked with zeros."""
    out = []
    for at in range(0, size, FRAME):
        piece = pattern(at, min(FRAME, size - at))
        head = (0x80 if at + len(piece) == size else 0) | (2 if at == 0 else 0)
        out.append(bytes([head, 0x80 | 126]) + struct.pack("!HI", len(piece), 0) + piece)
    return b"".join(out)


def pattern(at, size):
    return bytes((i * 31 + (i >> 7)) % 256 for i in range(at, at + size))


def payload(stream):
    """What is in the whole frames of `stream`, and whether the message's last is among them."""
    out, at, last = [], 0, False
    while at + 2 <= len(stream):
        size, head = stream[at + 1] & 127, 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(stream[at + 2:at + head], "big")
        if at + head + size > len(stream):
            break
        out.append(stream[at + head:at + head + size])
        last = stream[at] & 0x80 != 0
        at += head + size
    return b"".join(out), last


class Client:
    def __init__(self, url, ca, window):
        self.url = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection((self.url.hostname, self.url.port))
        self.socket = context.wrap_socket(plain, server_hostname=self.url.hostname)
        self.socket.settimeout(20)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False))
        self.connection.initiate_connection()
        self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.stream = None
        self.unsent = b""

    def flush(self):
        while self.unsent:
            room = min(self.connection.local_flow_control_window(self.stream),
                       self.connection.max_outbound_frame_size, len(self.unsent))
            if room <= 0:
                break
            self.connection.send_data(self.stream, self.unsent[:room])
            self.unsent = self.unsent[room:]
        self.socket.sendall(self.connection.data_to_send())

    def events(self):
        while data := self.socket.recv(65536):
            yield from self.connection.receive_data(data)
            self.flush()

    def open(self):
        self.stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(self.stream, [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
            (":path", self.url.path), (":authority", self.url.netloc), ("sec-websocket-version", "13")])


def main(url, ca, size, window, pause):
    client = Client(url, ca, window)
    client.flush()
    received, left, opened = bytearray(), window, 0
    for event in client.events():
        if isinstance(event, h2.events.RemoteSettingsChanged) and client.stream is None:
            client.open()
        elif isinstance(event, h2.events.ResponseReceived):
            status = dict(event.headers)[":status"]
            if status != "200":
                return {"error": f"status {status}"}
            client.connection.increment_flow_control_window(1 << 24)  # the connection's
            client.unsent = frames(size)
        elif isinstance(event, h2.events.DataReceived):
            received += event.data
            left -= event.flow_controlled_length
            if left == 0:
                time.sleep(pause)
                client.connection.increment_flow_control_window(window, client.stream)
                left, opened = window, opened + 1
            message, last = payload(received) if len(received) >= size else (b"", False)
            if last:
                return {"intact": message == pattern(0, size), "opened": opened}
        elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated, h2.events.StreamEnded)):
            return {"error": str(event)}
    return {"error": "the server closed the connection"}


print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))))
