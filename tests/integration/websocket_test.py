"""`tern ws` against `tern serve`: as a script uses it, and what it says when things go wrong."""

import json
import signal
import socket
import subprocess
import threading

from http_proxy import Proxy
from tern_program import PATIENCE, TERN, TernTest, environment

CARRIERS = {"h3": "h3", "h2": "h2", "http1.1": "http/1.1"}


class WebSocketTest(TernTest):
    def ws(self, *arguments, stdin=b"", text=False):
        given = stdin.encode() if isinstance(stdin, str) else stdin
        return subprocess.run([TERN, "ws", "-k", *arguments], input=given, timeout=PATIENCE,
                              capture_output=True, check=False, env=environment(self.folder))

    def url(self, server, path="/ws/echo"):
        return server.url.replace("https:", "wss:") + path

    @staticmethod
    def closed_port():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            return udp.getsockname()[1]

    def test_lines_there_and_back(self):
        server = self.serve()
        lines = "".join(f"line {i} ä\n" for i in range(500))
        done = self.ws(self.url(server), stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.decode(), lines)
        self.assertEqual(done.stderr, b"")
        line = server.access("/ws/echo")
        self.assertEqual((line["protocol"], line["method"], line["status"]),
                         ("h3", "CONNECT", 200))

    def test_the_last_line_needs_no_end(self):
        server = self.serve()
        done = self.ws(self.url(server), stdin="a\n\nb")
        self.assertEqual((done.returncode, done.stdout), (0, b"a\n\nb\n"))

    def test_binary(self):
        server = self.serve()
        data = bytes(i * 31 % 256 for i in range(1_000_000))
        done = self.ws("--binary", self.url(server), stdin=data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, data)

    def test_text_that_is_none(self):
        server = self.serve()
        done = self.ws(self.url(server), stdin=b"a\n\xff\nb\n")
        self.assertEqual((done.returncode, done.stdout), (0, b"a\nb\n"))
        self.assertIn(b"--binary", done.stderr)

    def test_json(self):
        server = self.serve()
        done = self.ws("--json", "-m", "one", "-m", "x" * 10_000, self.url(server))
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertIn(report["carrier"], ("h3", "h2"))  # HTTP/2's where TCP was there first
        self.assertTrue(report["compressed"])
        self.assertEqual([each["text"] for each in report["messages"]], ["one", "x" * 10_000])
        self.assertEqual(report["close"], {"code": 1000, "reason": "", "clean": True})
        self.assertEqual(report["stats"]["bytes_received"], 10_003)
        self.assertLess(report["stats"]["wire_received"], 1000)
        plain = json.loads(self.ws("--json", "--no-compression", "-m", "x" * 10_000,
                                   self.url(server)).stdout)
        self.assertFalse(plain["compressed"])
        self.assertGreater(plain["stats"]["wire_received"], 10_000)

    def test_origins(self):
        server = self.serve()
        own = self.ws("--origin", server.url, "-m", "x", self.url(server))
        self.assertEqual((own.returncode, own.stdout), (0, b"x\n"), own.stderr)
        stranger = self.ws("--origin", "https://evil.example", "-m", "x", self.url(server))
        self.assertEqual(stranger.returncode, 22)
        self.assertIn(b"403", stranger.stderr)
        self.assertEqual(stranger.stderr.count(b"\n"), 1)

    def test_what_goes_wrong(self):
        server = self.serve()
        for code, arguments in [
                (22, [self.url(server, "/nowhere")]),
                (2, ["--carrier", "pigeon", self.url(server)]),
                (2, ["-H", "no colon", self.url(server)]),
                (3, ["ftp://localhost/"]),
                (7, [f"wss://127.0.0.1:{self.closed_port()}/"]),
                (28, ["--max-time", "200ms", "--wait", "1m", self.url(server)])]:
            with self.subTest(arguments=arguments):
                done = self.ws(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        trusting = subprocess.run([TERN, "ws", "-m", "x", self.url(server)], timeout=PATIENCE,
                                  capture_output=True, check=False,
                                  env=environment(self.folder))
        self.assertEqual(trusting.returncode, 60, trusting.stderr)
        self.assertIn(b"--cacert", trusting.stderr)

    def waiting(self, server, carrier):
        """`tern ws` with an open WebSocket that nothing is sent on."""
        waiting = subprocess.Popen([TERN, "ws", "-k", "-v", "--json", "--wait", "10m", "--carrier", carrier,
                                    self.url(server)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(self.folder))
        next(line for line in waiting.stderr if b" open over " in line)
        return waiting

    def test_a_server_that_drains(self):
        for carrier, name in CARRIERS.items():
            with self.subTest(carrier=carrier):
                server = self.serve()
                waiting = self.waiting(server, carrier)
                server.signal(signal.SIGINT)
                out, _ = waiting.communicate(timeout=PATIENCE)
                report = json.loads(out)
                self.assertEqual(waiting.returncode, 0, report)
                self.assertEqual(report["carrier"], name)
                self.assertEqual(report["close"], {
                    "code": 1001, "reason": "the server is going away", "clean": True})
                self.assertEqual(server.wait(), 0)

    def test_a_server_that_dies(self):
        server = self.serve()
        waiting = self.waiting(server, "http1.1")
        server.process.kill()
        out, _ = waiting.communicate(timeout=PATIENCE)
        report = json.loads(out)
        self.assertEqual(waiting.returncode, 56, report)
        self.assertFalse(report["close"]["clean"])

    def test_carriers(self):
        server = self.serve("--http", "127.0.0.1:0")
        clear = "ws://" + server.start["http_addresses"] + "/ws/echo"
        large = b"0123456789abcdef" * 65_536 + b"\n"
        for flags, url, name in [
                *((["--carrier", carrier], self.url(server), name)
                  for carrier, name in CARRIERS.items()),
                ([], clear, "http/1.1"), (["--carrier", "http1.1"], clear, "http/1.1"),
                (["--carrier", "h2"], clear, "h2")]:
            with self.subTest(flags=flags, url=url):
                done = self.ws("-v", *flags, url, stdin=large)
                self.assertEqual((done.returncode, len(done.stdout)), (0, len(large)), done.stderr)
                self.assertIn(f"* WebSocket open over {name}, permessage-deflate\n".encode(),
                              done.stderr)
                line = server.access("/ws/echo")
                self.assertEqual((line["protocol"], line["method"], line["status"]),
                                 (name, "CONNECT", 200))
        refused = self.ws("--carrier", "h3", clear)
        self.assertEqual(refused.returncode, 3)
        self.assertIn(b"HTTP/3 wants wss://", refused.stderr)

    def test_a_server_without_some_of_them(self):
        """No UDP: the ladder goes down by itself. A plain HTTP/1.1 server: each refusal is a line."""
        server = self.serve()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def answer():
                while True:
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        return
                    with peer:
                        peer.recv(10_000)
                        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            done = self.ws(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
            listener.shutdown(socket.SHUT_RDWR)
        self.assertEqual(done.returncode, 22)
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        self.assertIn(b"without upgrading", done.stderr)
        for carrier in CARRIERS:
            stranger = self.ws("--carrier", carrier, "--origin", "https://evil.example", "-m", "x",
                               self.url(server))
            self.assertEqual(stranger.returncode, 22)
            self.assertIn(b"403 Forbidden", stranger.stderr)
            self.assertEqual(stranger.stderr.count(b"\n"), 1, stranger.stderr)

    def test_through_a_proxy(self):
        server = self.serve("--http", "127.0.0.1:0")
        proxy = Proxy()
        self.addCleanup(proxy.stop)
        there = f"http://127.0.0.1:{proxy.port}"
        clear = server.start["http_addresses"]
        for url, carrier in ((self.url(server), "h2"), (f"ws://{clear}/ws/echo", "http/1.1")):
            proxy.requests.clear()
            done = self.ws("-v", "-x", there, url, stdin="hello\n")
            self.assertEqual((done.returncode, done.stdout), (0, b"hello\n"), done.stderr)
            self.assertIn(f"open over {carrier}".encode(), done.stderr)
            [(line, _)] = proxy.requests
            self.assertEqual(line, f"CONNECT {url.split('/')[2]} HTTP/1.1")

    def test_secrets_are_not_logged(self):
        server = self.serve()
        for carrier in CARRIERS:
            self.ws("--carrier", carrier, "-m", "x", "-H", "authorization: Bearer sesame-1",
                    "-p", "bearer.sesame-2", self.url(server, "/ws/echo?access_token=sesame-3"))
            self.ws("--carrier", carrier, "-m", "x", "-H", "authorization: Bearer sesame-1",
                    "-p", "bearer.sesame-2", "--origin", "https://evil.example",
                    self.url(server, "/ws/echo?access_token=sesame-3"))
        server.stop()
        lines = [server.next_line() for _ in range(server.lines.qsize())]
        text = json.dumps(lines) + "".join(server.errors)
        self.assertEqual(text.count('"status": 403'), 3, text)
        self.assertNotIn("sesame", text)

    def test_events(self):
        server = self.serve()
        fetched = self.tern("get", "-k", "-m", "5s", "-o", self.folder / "events",
                            server.url + "/events")
        self.assertEqual(fetched.returncode, 28)
        text = (self.folder / "events").read_text()
        self.assertTrue(text.startswith("event: time\nid: 1\ndata: 20"), text)
        self.assertIn("\n\nevent: time\nid: 2\n", text)

    def test_bench(self):
        server = self.serve()
        for flags, name, sockets in [(["-m", "3"], "h3", 6), (["-m", "3", "--http2"], "h2", 6),
                                     (["--http1.1", "--in-flight", "8"], "http/1.1", 2)]:
            with self.subTest(carrier=name):
                done = self.tern("bench", "-k", "--json", "-c", "2", "-n", "600", *flags,
                                 self.url(server))
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(done.stdout)
                self.assertEqual(report["requests"], 600)
                self.assertEqual(report["bytes"], 600 * 64)
                self.assertEqual(report["errors"], {})
                self.assertEqual({server.access("/ws/echo")["protocol"] for _ in range(sockets)},
                                 {name})
        refused = self.tern("bench", "--in-flight", "8", server.url + "/hello")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--in-flight", refused.stderr)
