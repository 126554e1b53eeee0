"""`tern wt` against `tern serve`: as a script uses it, and what it says when things go wrong."""

import json
import signal
import socket
import subprocess

from http_proxy import Proxy
from tern_program import PATIENCE, TERN, TernTest, environment

CARRIERS = ["h3", "h2", "websocket"]


class WebTransportTest(TernTest):
    def wt(self, *arguments, stdin=b""):
        given = stdin.encode() if isinstance(stdin, str) else stdin
        return subprocess.run([TERN, "wt", "-k", *arguments], input=given, timeout=PATIENCE,
                              capture_output=True, check=False, env=environment(self.folder))

    def url(self, server, path="/wt/echo"):
        return server.url + path

    def test_a_stream_there_and_back(self):
        server = self.serve()
        data = bytes(i * 31 % 256 for i in range(1_000_000))
        for carrier in CARRIERS:
            with self.subTest(carrier=carrier):
                done = self.wt("--carrier", carrier, self.url(server), stdin=data)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertEqual(done.stdout, data)
                line = server.access("/wt/echo")
                self.assertEqual((line["method"], line["status"]), ("CONNECT", 200))
                self.assertEqual(line["protocol"], "h3" if carrier != "h2" else "h2")

    def test_lines_on_unidirectional_streams(self):
        server = self.serve()
        lines = [f"line {i} ä" for i in range(300)]
        for carrier in CARRIERS:
            with self.subTest(carrier=carrier):
                done = self.wt("--uni", "--carrier", carrier, self.url(server),
                               stdin="\n".join(lines))
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                # Each stream has its own order.
                self.assertEqual(sorted(done.stdout.decode().splitlines()), sorted(lines))
        data = bytes(i * 31 % 256 for i in range(500_000))
        done = self.wt("--uni", "--binary", self.url(server), stdin=data)
        self.assertEqual((done.returncode, done.stdout), (0, data), done.stderr)

    def test_datagrams(self):
        server = self.serve()
        lines = [f"datagram {i}" for i in range(50)]
        for carrier in CARRIERS:
            with self.subTest(carrier=carrier):
                done = self.wt("--datagrams", "--carrier", carrier, self.url(server),
                               stdin="\n".join(lines))
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertEqual(sorted(done.stdout.decode().splitlines()), sorted(lines))
        large = self.wt("--datagrams", "-m", "x" * 20_000, "-m", "small", self.url(server))
        self.assertEqual((large.returncode, large.stdout), (0, b"small\n"))
        self.assertIn(b"not sent: 20000 bytes, a datagram takes ", large.stderr)

    def test_json(self):
        server = self.serve()
        done = self.wt("--json", "-m", "one", "-m", "two", self.url(server))
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["exit_code"]), (0, 0))
        self.assertEqual(report["carrier"], "h3")
        self.assertEqual(report["protocol"], "")
        self.assertEqual(report["received"], [{"text": "one\ntwo\n"}])
        self.assertTrue(report["received_complete"])
        self.assertEqual(report["close"], {"code": 0, "reason": "", "by": "client"})
        self.assertEqual(report["stats"]["streams_opened"], 1)
        self.assertGreater(report["stats"]["rtt_ms"], 0)
        done = self.wt("--json", "--datagrams", "--close-code", "7", "--close-reason", "enough",
                       "-m", "ping", "-p", "unknown.v1", self.url(server))
        report = json.loads(done.stdout)
        self.assertEqual(report["received"], [{"text": "ping"}])
        self.assertEqual(report["protocol"], "")
        self.assertEqual(report["close"], {"code": 7, "reason": "enough", "by": "client"})
        self.assertEqual(report["stats"]["datagrams_sent"], 1)
        self.assertEqual(report["stats"]["datagrams_received"], 1)

    def test_the_ladder(self):
        server = self.serve("--http", "127.0.0.1:0")
        told = self.wt("-v", "-m", "x", self.url(server))
        self.assertIn(b"* session open over h3", told.stderr)
        self.assertIn(b"* closed by us: 0", told.stderr)
        wt = server.url.replace("https:", "wt:") + "/wt/echo"
        self.assertEqual(self.wt("-m", "x", wt).stdout, b"x\n")
        clear = "http://" + server.start["http_addresses"] + "/wt/echo"
        told = self.wt("-v", "-m", "x", clear)
        self.assertEqual((told.returncode, told.stdout), (0, b"x\n"), told.stderr)
        self.assertIn(b"* session open over websocket", told.stderr)
        self.assertIn(b", reliable\n", told.stderr)
        proxy = Proxy()
        self.addCleanup(proxy.stop)
        told = self.wt("-v", "-x", f"http://127.0.0.1:{proxy.port}", "-m", "x", self.url(server))
        self.assertEqual((told.returncode, told.stdout), (0, b"x\n"), told.stderr)
        self.assertIn(b"* session open over h2", told.stderr)

    def test_origins(self):
        server = self.serve()
        for carrier in CARRIERS:
            own = self.wt("--carrier", carrier, "--origin", server.url, "-m", "x", self.url(server))
            self.assertEqual((own.returncode, own.stdout), (0, b"x\n"), own.stderr)
            stranger = self.wt("--carrier", carrier, "--origin", "https://evil.example", "-m", "x",
                               self.url(server))
            self.assertEqual(stranger.returncode, 22)
            self.assertIn(b"403", stranger.stderr)
            self.assertEqual(stranger.stderr.count(b"\n"), 1)

    def test_what_goes_wrong(self):
        server = self.serve()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            closed = udp.getsockname()[1]
        clear = "http://127.0.0.1:1/"
        for code, arguments in [
                (22, [self.url(server, "/nowhere")]),
                (2, ["--carrier", "pigeon", self.url(server)]),
                (2, ["--uni", "--datagrams", self.url(server)]),
                (2, ["-H", "no colon", self.url(server)]),
                (3, ["ftp://localhost/"]),
                (3, ["--carrier", "h2", clear]),
                (7, [f"https://127.0.0.1:{closed}/"]),
                (7, ["--carrier", "h3", f"https://127.0.0.1:{closed}/"]),
                (28, ["--max-time", "200ms", "--wait", "1m", self.url(server)])]:
            with self.subTest(arguments=arguments):
                done = self.wt(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        trusting = subprocess.run([TERN, "wt", "-m", "x", self.url(server)], timeout=PATIENCE,
                                  capture_output=True, check=False,
                                  env=environment(self.folder))
        self.assertEqual(trusting.returncode, 60, trusting.stderr)
        self.assertIn(b"--cacert", trusting.stderr)

    def test_bench(self):
        server = self.serve()
        for flags, name in [([], "h3"), (["--http2"], "h2"), (["--http1.1"], "http/1.1")]:
            wt = server.url.replace("https:", "wt:") + "/wt/echo"
            for what, unit in [([], "stream"), (["--datagrams"], "datagram")]:
                with self.subTest(carrier=name, unit=unit):
                    done = self.tern("bench", "-k", "--json", "-c", "2", "-m", "5", "-n", "600",
                                     *flags, *what, wt)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    report = json.loads(done.stdout)
                    self.assertEqual((report["protocol"], report["unit"]), (name, unit))
                    self.assertEqual(report["requests"], 600)
                    self.assertEqual(report["bytes"], 600 * 64)
                    self.assertEqual(report["errors"], {})
                    self.assertGreater(report["latency_us"]["p50"], 0)
            done = self.tern("bench", "-k", "--json", "-c", "1", "-m", "1", "-n", "1", *flags,
                             "-d", "30000000", wt.replace("echo", "bytes"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["bytes"], 30_000_000)
        idle = self.tern("bench", "-k", "--json", "-c", "5", "--sessions", "4", "--idle", "-D",
                         "200ms", server.url.replace("https:", "wt:") + "/wt/echo")
        self.assertEqual(idle.returncode, 0, idle.stderr)
        self.assertEqual(json.loads(idle.stdout)["sessions"], 4)
        # On each carrier two for streams, two for datagrams and one for bytes.
        self.assertEqual(server.counters()["webtransport.opened"], 3 * 5 + 5 * 4)
        for arguments in (["--datagrams", server.url + "/hello"], ["--sessions", "2", server.url],
                          ["--connect", wt], ["--datagrams", "-d", "short", wt],
                          ["--http1.1", "--sessions", "2", wt]):
            refused = self.tern("bench", *arguments)
            self.assertEqual(refused.returncode, 2, arguments)

    def waiting(self, server, carrier):
        """`tern wt` with an open session that nothing is sent on."""
        waiting = subprocess.Popen([TERN, "wt", "-k", "-v", "--json", "--wait", "10m", "--carrier",
                                    carrier, self.url(server)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(self.folder))
        next(line for line in waiting.stderr if b" open over " in line)
        return waiting

    def test_a_server_that_dies(self):
        server = self.serve()
        waiting = self.waiting(server, "h2")
        server.process.kill()
        out, _ = waiting.communicate(timeout=PATIENCE)
        report = json.loads(out)
        self.assertEqual(waiting.returncode, 56, report)
        self.assertTrue(report["error"])

    def test_ctrl_c_closes_it(self):
        server = self.serve()
        waiting = self.waiting(server, "h3")
        waiting.send_signal(signal.SIGINT)
        out, _ = waiting.communicate(timeout=PATIENCE)
        report = json.loads(out)
        self.assertEqual(waiting.returncode, 0, report)
        self.assertEqual(report["close"], {"code": 0, "reason": "", "by": "client"})
        while server.counters().get("webtransport.closed", 0) == 0:
            pass


if __name__ == "__main__":
    import unittest
    unittest.main()
