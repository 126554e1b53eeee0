"""`tern relay`: real clients and servers with a bad network between them."""

import json
import queue
import signal
import socket
import struct
import subprocess
import threading
import time

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
    return [(time, source, destination, packet[1] & 3, packet[28:])
            for time, source, destination, packet in pcapng_packets(path, socket.IPPROTO_UDP)]


def pcapng_segments(path):
    """The TCP segments of a file: (source, destination, flags, payload), checksums checked."""
    return [(source, destination, packet[33], packet[20 + (packet[32] >> 4) * 4:])
            for _, source, destination, packet in pcapng_packets(path, socket.IPPROTO_TCP)]


def pcapng_packets(path, protocol):
    data = path.read_bytes()
    found = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert length % 4 == 0 and struct.unpack_from("=I", data, at + length - 4)[0] == length
        if kind == 6:
            _, high, low, size, original = struct.unpack_from("=IIIII", data, at + 8)
            assert size == original
            packet = data[at + 28:at + 28 + size]
            assert packet[0] == 0x45 and packet[9] in (6, 17), packet[:20]
            assert internet_sum(packet[:20]) == 0xffff
            pseudo = packet[12:20] + struct.pack(">HH", packet[9], size - 20)
            assert internet_sum(pseudo + packet[20:]) == 0xffff
            source_port, destination_port, length_field = struct.unpack_from(">HHH", packet, 20)
            assert packet[9] == 6 or length_field == size - 20
            if packet[9] == protocol:
                found.append((high << 32 | low,
                              (socket.inet_ntoa(packet[12:16]), source_port),
                              (socket.inet_ntoa(packet[16:20]), destination_port), packet))
        at += length
    return found


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


    def test_ecn_is_carried_marked_and_bleached(self):
        for arguments, arrives in (((), 2), (("--ecn-mark", "100%"), 3), (("--ecn-bleach",), 0)):
            with self.subTest(arguments=arguments):
                echo = self.echo()
                client = self.client(self.relay(echo.port, *arguments))
                client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
                client.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
                client.send(b"hello")
                self.assertEqual(echo.next()[3], arrives)

    def test_a_rebinding_is_a_new_port_and_then_a_new_address(self):
        script = self.folder / "nat.toml"
        # An answer that comes later than the next of them would be nobody's.
        script.write_text('[[at]]\ntime = "2s"\ndo = "rebind"\n'
                          '[[at]]\ntime = "4s"\ndo = "rebind-address"\n')
        echo = self.echo()
        relay = self.relay(echo.port, "--script", script)
        client = self.client(relay)
        seen = []
        for event in (None, "rebind", "rebind-address"):
            if event:
                relay.event("message", event)
            client.send(b"hello")
            client.recv(100)
            seen.append(echo.next()[:2])
        self.assertEqual([ip for ip, _ in seen[:2]], ["127.0.0.1"] * 2)
        self.assertNotEqual(seen[0][1], seen[1][1])
        self.assertNotEqual(seen[2][0], "127.0.0.1")
        self.assertTrue(seen[2][0].startswith("127.0.0."))

        # Nobody is behind the old ones any more.
        echo.socket.sendto(b"anyone?", seen[0])
        while relay.counters()["nat_dropped"] == 0:
            time.sleep(0.01)
        stats = relay.stop()
        self.assertEqual(stats["rebindings"], 2)
        self.assertEqual(stats["bindings"], 3)

    def test_ipv6(self):
        echo = self.echo("::1")
        client = self.client(self.relay(f"[::1]:{echo.port}"))
        client.send(b"hello")
        self.assertEqual(client.recv(100), b"hello")
        self.assertEqual(echo.next()[0], "::1")

    def test_two_routes_share_one_nat(self):
        one, two = self.echo(), self.echo()
        relay = self.relay(one.port, "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{two.port}")
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        for port in relay.ports:
            client.sendto(b"hello", ("127.0.0.1", port))
        self.assertEqual(one.next()[:2], two.next()[:2])

    def test_captures(self):
        echo = self.echo(answer=lambda data: data.upper())
        left, right = self.folder / "left.pcapng", self.folder / "right.pcapng"
        relay = self.relay(echo.port, "--up", "drop=2", "--delay", "20ms",
                           "--pcap-client", left, "--pcap-server", right)
        client = self.client(relay)
        for text in (b"one", b"two", b"three"):
            client.send(text)
        self.assertEqual([client.recv(9), client.recv(9)], [b"ONE", b"THREE"])
        outside = echo.next()[:2]
        relay.stop()

        here, listening = client.getsockname(), ("127.0.0.1", relay.port)
        server = ("127.0.0.1", echo.port)
        clients, servers = pcapng(left), pcapng(right)
        self.assertEqual([d[1:3] + d[4:] for d in clients],
                         [(here, listening, text) for text in (b"one", b"two", b"three")]
                         + [(listening, here, text) for text in (b"ONE", b"THREE")])
        self.assertEqual(sorted(d[1:3] + d[4:] for d in servers),
                         sorted([(outside, server, text) for text in (b"one", b"three")]
                                + [(server, outside, text) for text in (b"ONE", b"THREE")]))
        sent, came = clients[0][0], next(d[0] for d in servers if d[4] == b"one")
        self.assertGreaterEqual(came - sent, 20_000_000)


class StreamTest(RelayTest):
    def test_connections_are_in_the_captures(self):
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(PATIENCE)
        self.addCleanup(listening.close)
        left, right = self.folder / "left.pcapng", self.folder / "right.pcapng"
        relay = self.relay(listening.getsockname()[1], "--delay", "2ms",
                           "--pcap-client", left, "--pcap-server", right)
        client = socket.create_connection(("127.0.0.1", relay.port), PATIENCE)
        client.sendall(b"hello")
        server, outside = listening.accept()
        server.settimeout(PATIENCE)
        self.assertEqual(server.recv(100), b"hello")
        server.sendall(b"good day")
        self.assertEqual(client.recv(100), b"good day")
        ends = client.getsockname(), client.getpeername()
        client.close()
        self.assertEqual(server.recv(100), b"")
        server.close()
        relay.stop()

        for path, (one, other) in ((left, ends), (right, (outside, listening.getsockname()))):
            segments = pcapng_segments(path)
            syn, syn_ack, ack = segments[:3]
            self.assertEqual([syn[:3], syn_ack[:3], ack[:3]],
                             [(one, other, 0x02), (other, one, 0x12), (one, other, 0x10)])
            self.assertEqual(b"".join(s[3] for s in segments if s[0] == one), b"hello")
            self.assertEqual(b"".join(s[3] for s in segments if s[0] == other), b"good day")
            self.assertEqual({s[:2] for s in segments}, {(one, other), (other, one)})
            self.assertEqual(pcapng(path), [])


class QuicTest(RelayTest):
    """tern get through a relay to tern serve."""

    def download(self, size, *arguments, env=None):
        server = self.serve()
        relay = self.relay(server.port, *arguments)
        out = self.folder / "out"
        fetched = self.assert_done(self.get(
            server, "-o", out, "--resolve", f"localhost:{relay.port}:127.0.0.1",
            f"https://localhost:{relay.port}/bytes/{size}", env=env))
        self.assert_pattern(out, size)
        return server, fetched, relay.stop()

    def test_loss_corruption_and_all_the_rest(self):
        _, fetched, stats = self.download(
            2_000_000, "--delay", "3ms", "--jitter", "1ms/exponential", "--rate", "80mbps",
            "--queue", "64KiB", "--loss", "1%", "--burst", "0.2%/40%", "--reorder", "1%/4ms",
            "--duplicate", "1%", "--corrupt", "1%")
        down = stats["to_client"]
        for what in ("corrupted", "duplicated", "reordered"):
            self.assertGreater(down[what], 0, what)
        self.assertGreater(down["dropped_by"]["loss"], 0)
        self.assertGreaterEqual(fetched.connection["min_rtt_ms"], 6)
        self.assertEqual((stats["overload"], stats["send_failed"]), (0, 0))

    def test_interop_scenarios(self):
        base = "--delay=2ms --bandwidth=50Mbps --queue=100"
        for scenario in (
                f"drop-rate {base} --rate_to_client=5 --rate_to_server=5 --burst_to_client=2",
                f"corrupt-rate {base} --rate_to_client=5 --rate_to_server=5 --burst_to_client=2",
                f"droplist {base} --drops_to_client=2,4 --drops_to_server=3",
                # Whenever a download begins that takes 1.6 s, it meets a hole of the relay's clock.
                "blackhole --delay=2ms --bandwidth=20Mbps --queue=100 --on=1s --off=100ms --repeat=1000"):
            with self.subTest(scenario=scenario):
                _, _, stats = self.download(4_000_000, "--scenario", scenario)
                down = stats["to_client"]
                name = scenario.split()[0]
                if name == "corrupt-rate":
                    self.assertGreater(down["corrupted"], 0)
                else:
                    kind = {"drop-rate": "loss", "droplist": "listed"}.get(name, name)
                    self.assertGreater(down["dropped_by"][kind], 0)

    def test_rebinding_is_followed(self):
        server, fetched, stats = self.download(
            3_000_000, "--scenario", "rebind --delay=5ms --bandwidth=20Mbps --queue=100 "
            "--first-rebind=200ms --rebind-freq=300ms --rebind-addr")
        self.assertGreaterEqual(stats["rebindings"], 3)
        self.assertGreater(stats["bindings"], 2)
        self.assertEqual(fetched.connection["migrations"], 0)  # the client knows nothing of it
        self.assertGreaterEqual(server.counters()["quic.paths_changed"], 2)


    def test_a_scenario_of_the_handoff_tool(self):
        _, _, stats = self.download(4_000_000, "--scenario", "sudden-cut")
        self.assertEqual((stats["rebindings"], stats["bindings"]), (1, 2))
        self.assertGreater(stats["to_client"]["dropped_by"]["cut"], 0)


class UsageTest(TernTest):
    def test_errors_name_the_flag_and_the_fix(self):
        script = self.folder / "bad.toml"
        script.write_text('[[at]]\ntime = "2s"\ndo = "explode"\n')
        base = ("relay", "-l", "0", "-t", "127.0.0.1:4433")
        for arguments, expected in (
                (("relay", "-l", "0"), "--to is required"),
                (("relay", "-l", "0", "-t", "localhost"), "write HOST:PORT"),
                (("relay", "-l", "nowhere", "-t", "127.0.0.1:1"), "write PORT or IP:PORT"),
                ((*base, "-l", "0"), "each --listen wants its --to"),
                ((*base, "--loss", "2"), "--loss: '2' is no percentage: write 2%"),
                ((*base, "--rate", "10"), "--rate: '10': rates look like 10mbps"),
                ((*base, "--up", "los=2%"), "--up: 'los' is none of delay"),
                ((*base, "--scenario", "storm"), "--scenario: 'storm' is none of simple-p2p"),
                ((*base, "--script", script), "bad.toml:3: 'do': 'explode' is none of cut"),
                ((*base, "--script", self.folder / "none"), "--script: cannot read"),
                ((*base, "--rebind-address"), "--rebind-address wants --first-rebind"),
                ((*base, "--outside", "x"), "--outside: 'x' is no IP address"),
                ((*base, "--outside", "192.0.2.77"), "--outside): bind 192.0.2.77:0: "),
                ((*base, "--rebind-every", "0s"), "--rebind-every: a time above 0"),
                ((*base, "--nat-timeout", "0s"), "--nat-timeout: a time above 0"),
                ((*base, "--idle-timeout", "0"), "--idle-timeout: a time above 0"),
                ((*base, "--blackhole", "2s/0s"), "a black hole lasts longer than 0"),
                (("relay", "-l", "0", "-t", "[::1]:4433", "--rebind-every", "1s",
                  "--rebind-address"), "--outside")):
            with self.subTest(arguments=arguments):
                done = self.tern(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn(expected, done.stderr)

    def test_an_address_in_use(self):
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        done = self.tern("relay", "-l", taken.getsockname()[1], "-t", "127.0.0.1:4433")
        self.assertEqual(done.returncode, 1)
        self.assertIn("bind", done.stderr)

    def test_people_read_what_happened(self):
        done = subprocess.run(
            ["timeout", "--signal=INT", "--preserve-status", "1", TERN, "relay", "-l", "0",
             "-t", "127.0.0.1:4433"], capture_output=True, text=True, timeout=PATIENCE,
            env=environment(self.home))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("relays 127.0.0.1:", done.stdout)
        self.assertIn("to server", done.stdout)


if __name__ == "__main__":
    import unittest

    unittest.main()
