"""`tern relay`: real clients and servers with a bad network between them."""

import json
import os
import queue
import signal
import socket
import struct
import subprocess
import threading

from tern_program import PATIENCE, TERN, TernTest, environment


class Relay:
    """`tern relay --json` on a free port."""

    def __init__(self, home, to, *arguments, listen="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [TERN, "relay", "--json", "--listen", listen, "--to", to, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home))
        self.lines = queue.Queue()
        self.errors = []
        self.readers = [threading.Thread(target=read, daemon=True)
                        for read in (self._read, self._read_errors)]
        for reader in self.readers:
            reader.start()
        self.stopped = None
        try:
            self.start = self.event("listening")
        except AssertionError:
            self.stop()
            raise
        self.ports = [int(route["listen"].rsplit(":", 1)[1]) for route in self.start["routes"]]
        self.port = self.ports[0]

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def _read_errors(self):
        self.errors.extend(self.process.stderr)

    def event(self, name, text=""):
        while True:
            line = self.lines.get(timeout=PATIENCE)
            assert line is not None, f"tern relay ended before {name}: {''.join(self.errors)}"
            if line["event"] == name and text in line.get("text", ""):
                return line

    def counters(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.event("counters")

    def stop(self):
        """The counters it ends with."""
        if self.stopped is None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.stopped = self.event("stats")
            self.process.wait(timeout=PATIENCE)
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.stopped


class Echo:
    """A UDP server that notes who sent what, with its ECN field, and answers."""

    def __init__(self, address="127.0.0.1", answer=lambda data: data):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.seen = queue.Queue()
        self.answer = answer
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                data, control, _, sender = self.socket.recvmsg(65536, 64)
            except OSError:
                return
            if data == b"end":
                return
            tos = next((c[2][0] for c in control if c[:2] == (socket.IPPROTO_IP, socket.IP_TOS)), 0)
            self.seen.put((sender[0], sender[1], data, tos & 3))
            self.socket.sendto(self.answer(data), sender)

    def next(self):
        return self.seen.get(timeout=PATIENCE)

    def stop(self):
        ender = socket.socket(self.socket.family, socket.SOCK_DGRAM)
        ender.sendto(b"end", self.socket.getsockname()[:2])
        self.thread.join()
        ender.close()
        self.socket.close()


def pcapng(path):
    """The UDP datagrams of a file: (time in ns, source, destination, ECN, payload), checksums
    checked."""
    data = path.read_bytes()
    datagrams = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert length % 4 == 0 and struct.unpack_from("=I", data, at + length - 4)[0] == length
        if kind == 6:
            _, high, low, size, original = struct.unpack_from("=IIIII", data, at + 8)
            assert size == original
            packet = data[at + 28:at + 28 + size]
            assert packet[0] == 0x45 and packet[9] == 17, packet[:20]
            assert internet_sum(packet[:20]) == 0xffff
            length_field, = struct.unpack_from(">H", packet, 24)
            pseudo = packet[12:20] + b"\0\x11" + packet[24:26]
            assert internet_sum(pseudo + packet[20:]) == 0xffff
            source_port, destination_port = struct.unpack_from(">HH", packet, 20)
            assert length_field == len(packet) - 20
            datagrams.append((high << 32 | low,
                              (socket.inet_ntoa(packet[12:16]), source_port),
                              (socket.inet_ntoa(packet[16:20]), destination_port),
                              packet[1] & 3, packet[28:]))
        at += length
    return datagrams


def internet_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


class RelayTest(TernTest):
    def relay(self, to, *arguments, **options):
        relay = Relay(self.home, to if isinstance(to, str) else f"127.0.0.1:{to}", *arguments,
                      **options)
        self.addCleanup(relay.stop)
        return relay

    def echo(self, *arguments, **options):
        echo = Echo(*arguments, **options)
        self.addCleanup(echo.stop)
        return echo

    def client(self, relay, port=None):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port or relay.port))
        self.addCleanup(client.close)
        return client


class DatagramTest(RelayTest):
    def test_back_and_forth(self):
        echo = self.echo()
        relay = self.relay(echo.port)
        one, two = self.client(relay), self.client(relay)
        for client, text in ((one, b"first"), (two, b"second"), (one, b"third")):
            client.send(text)
            self.assertEqual(client.recv(100), text)
        senders = [echo.next()[:2] for _ in range(3)]
        self.assertEqual(senders[0], senders[2])
        self.assertNotEqual(senders[0], senders[1])
        stats = relay.stop()
        self.assertEqual((stats["clients"], stats["bindings"]), (2, 2))
        self.assertEqual(stats["to_server"]["delivered"], 3)
        self.assertEqual(stats["to_client"]["bytes"], sum(28 + n for n in (5, 6, 5)))

    def exchange(self, count, *arguments):
        """The numbers of those datagrams that came back, in order, and the counters."""
        echo = self.echo()
        relay = self.relay(echo.port, *arguments)
        client = self.client(relay)
        for number in range(count):
            client.send(b"%06d" % number)
        self.settle(relay, count)
        back = relay.counters()["to_client"]["delivered"]
        arrived = [int(client.recv(100)) for _ in range(back)]
        return arrived, relay.stop()

    @staticmethod
    def settle(relay, sent):
        """Until every datagram has met its fate: each that reached the server came back, or not."""
        while True:
            stats = relay.counters()
            there, back = stats["to_server"], stats["to_client"]
            if (there["packets"] == sent
                    and there["delivered"] + there["dropped"] == sent + there["duplicated"]
                    and back["packets"] == there["delivered"]
                    and back["delivered"] + back["dropped"] == back["packets"]
                    + back["duplicated"]):
                return

    def test_the_seed_decides(self):
        first, stats = self.exchange(300, "--up", "loss=30%")
        again, _ = self.exchange(300, "--up", "loss=30%")
        other, _ = self.exchange(300, "--up", "loss=30%", "--seed", "5")
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertEqual(stats["to_server"]["dropped_by"], {"loss": 300 - len(first)})
        self.assertTrue(150 < len(first) < 270, len(first))

    def test_listed_datagrams(self):
        arrived, stats = self.exchange(10, "--up", "drop=2,5-7", "--down", "drop=1")
        self.assertEqual(arrived, [2, 3, 7, 8, 9])
        self.assertEqual(stats["to_server"]["dropped_by"], {"listed": 4})
        self.assertEqual(stats["to_client"]["dropped_by"], {"listed": 1})


if __name__ == "__main__":
    import unittest

    unittest.main()
