"""`tern ws` against `tern serve`: as a script uses it, and what it says when things go wrong."""

import json
import socket
import subprocess

from tern_program import PATIENCE, TERN, TernTest, environment


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
        self.assertEqual(report["carrier"], "h3")
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

    def test_a_server_that_goes(self):
        server = self.serve()
        waiting = subprocess.Popen([TERN, "ws", "-k", "--json", "--wait", "10m", self.url(server)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(self.folder))
        while server.counters().get("websocket.opened", 0) == 0:
            pass
        server.stop()
        out, _ = waiting.communicate(timeout=PATIENCE)
        report = json.loads(out)
        self.assertEqual(waiting.returncode, 56, report)
        self.assertFalse(report["close"]["clean"])

    def test_events(self):
        server = self.serve()
        fetched = self.tern("get", "-k", "-m", "2500ms", "-o", self.folder / "events",
                            server.url + "/events")
        self.assertEqual(fetched.returncode, 28)
        text = (self.folder / "events").read_text()
        self.assertTrue(text.startswith("event: time\nid: 1\ndata: 20"), text)
        self.assertIn("\n\nevent: time\nid: 2\n", text)

    def test_bench(self):
        server = self.serve()
        done = self.tern("bench", "-k", "--json", "-c", "2", "-m", "3", "-n", "600",
                         self.url(server))
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["requests"], 600)
        self.assertEqual(report["bytes"], 600 * 64)
