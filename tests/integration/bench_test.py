"""`tern bench` on every protocol: what it reports is what the server has seen."""

import json
import socket
import ssl
import subprocess
import threading

from tern_program import TERN, TernTest, environment


class BenchTest(TernTest):
    def bench(self, server, *arguments, url=None):
        trust = ("--cacert", self.ca) if server else ()
        finished = self.tern("bench", "--json", *trust,
                             url or self.over_tls(server) + "/hello", *arguments)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        return json.loads(finished.stdout)

    @staticmethod
    def over_tls(server):
        return server.url.replace("localhost", "127.0.0.1")

    @staticmethod
    def clear_text(server):
        return "http://" + server.start["http_addresses"]


class Http3Test(BenchTest):
    def test_requests(self):
        server = self.serve("--workers", "2")
        report = self.bench(server, "-c", "3", "-m", "5", "-n", "500")
        self.assertEqual(report["protocol"], "h3")
        self.assertEqual(report["requests"], 500)
        self.assertEqual(report["statuses"], {"200": 500})
        self.assertEqual(report["errors"], {})
        self.assertEqual(report["bytes"], 500 * 14)
        self.assertEqual(report["latency_us"]["count"], 500)
        self.assertEqual(report["server_pid"], server.process.pid)
        # However short the run: hundredths of a second would often be none.
        self.assertGreater(report["server_cpu_seconds"], 0)
        self.assertEqual(server.counters()["http3.requests"], 500)

    def test_rate_spreads_requests(self):
        server = self.serve()
        report = self.bench(server, "--rate", "400", "-n", "200")
        self.assertEqual(report["requests"], 200)
        self.assertGreaterEqual(report["seconds"], 0.49)

    def test_handshakes(self):
        server = self.serve()
        report = self.bench(server, "--connect", "-c", "4", "-n", "40")
        self.assertEqual((report["handshakes"], report["resumed"]), (40, 0))
        before = server.counters()
        self.assertEqual(before["quic.handshakes_completed"], 40)
        report = self.bench(server, "--connect", "--resume", "-c", "4", "-n", "40")
        self.assertEqual((report["handshakes"], report["resumed"]), (40, 40))
        self.assertEqual(server.counters()["quic.handshakes_resumed"], 40)

    def test_idle_connections(self):
        server = self.serve()
        report = self.bench(server, "--idle", "-c", "50", "-D", "200ms")
        self.assertEqual(report["open_connections"], 50)
        self.assertEqual(report["errors"], {})

    def test_no_server(self):
        server = self.serve()
        server.stop()
        refused = subprocess.run(
            [TERN, "bench", "-k", "-n", "1", "-c", "1", server.url + "/"], capture_output=True,
            text=True, env=environment(self.home))
        self.assertIn(refused.returncode, (7, 28))
        self.assertEqual(refused.stderr.count("\n"), 1, refused.stderr)


class OverTcpTest(BenchTest):
    """HTTP/2 and HTTP/1.1, with TLS and without."""

    def test_requests(self):
        server = self.serve("--http", "127.0.0.1:0")
        runs = [  # the URL's beginning, flags, protocol, handshake, the counters it shows in
            (self.over_tls(server), ("--http2", "-m", "20"), "h2", "TLSv1.3", "http2"),
            (self.over_tls(server), ("--http1.1",), "http/1.1", "TLSv1.3", "http1"),
            (self.clear_text(server), ("--http2",), "h2", "", "http2"),
            (self.clear_text(server), (), "http/1.1", "", "http1"),
        ]
        for engine in self.engines():
            for begin, flags, protocol, handshake, counters in runs:
                with self.subTest(url=begin, flags=flags, engine=engine):
                    before = server.counters()
                    report = self.bench(server, "-c", "3", "-n", "300", "--engine", engine, *flags,
                                        url=begin + "/hello")
                    after = server.counters()
                    self.assertEqual(report["protocol"], protocol)
                    self.assertEqual(report["handshake"].split(",")[0], handshake)
                    self.assertEqual(report["requests"], 300)
                    self.assertEqual(report["statuses"], {"200": 300})
                    self.assertEqual(report["errors"], {})
                    self.assertEqual(report["bytes"], 300 * len(self.hello(protocol)))
                    self.assertEqual(report["server_pid"], server.process.pid)
                    for name, more in ((f"{counters}.requests", 300), (f"{counters}.sessions", 3)):
                        self.assertEqual(after[name] - before.get(name, 0), more, name)

    @staticmethod
    def hello(protocol):
        return f"hello over {protocol}\n"

    def test_a_body_there_and_back(self):
        server = self.serve()
        for flags in (("--http2",), ("--http1.1",)):
            report = self.bench(server, *flags, "-c", "2", "-n", "20", "-d", "x" * 20_000,
                                url=self.over_tls(server) + "/echo")
            self.assertEqual(report["statuses"], {"200": 20}, flags)
            self.assertEqual(report["bytes"], 20 * 20_000)

    def test_handshakes(self):
        server = self.serve()
        for flag in ("--http2", "--http1.1"):
            with self.subTest(flag):
                before = server.counters()
                report = self.bench(server, flag, "--connect", "-c", "4", "-n", "40")
                self.assertEqual((report["handshakes"], report["resumed"]), (40, 0))
                report = self.bench(server, flag, "--connect", "--resume", "-c", "4", "-n", "40")
                self.assertEqual((report["handshakes"], report["resumed"]), (40, 40))
                self.assertEqual(report["errors"], {})
                after = server.counters()
                self.assertEqual(
                    after["server.tls.resumed"] - before.get("server.tls.resumed", 0), 40)
                # One more got the ticket.
                self.assertEqual(
                    after["server.tls.handshakes"] - before.get("server.tls.handshakes", 0), 81)

    def test_idle_connections(self):
        server = self.serve()
        report = self.bench(server, "--http2", "--idle", "-c", "150", "-D", "200ms")
        self.assertEqual(report["open_connections"], 150)
        self.assertEqual(report["errors"], {})
        self.assertGreater(report["server_memory_bytes"], 0)

    def test_connections_that_the_server_closes(self):
        """HTTP/1.1 servers may close after each answer; the load goes on with another one."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def answer():
                while True:
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        return
                    with peer:
                        head = b""
                        while b"\r\n\r\n" not in head:
                            head += peer.recv(4096)
                        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"
                                     b"connection: close\r\n\r\nok")
            threading.Thread(target=answer, daemon=True).start()
            report = self.bench(None, "-c", "1", "-n", "20",
                                url=f"http://127.0.0.1:{listener.getsockname()[1]}/")
            listener.shutdown(socket.SHUT_RDWR)
        self.assertEqual(report["requests"], 20)
        self.assertEqual(report["bytes"], 40)
        self.assertEqual(report["errors"], {})

    def test_a_server_without_http2(self):
        server = self.serve()  # for its certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        home = self.home / "tern"
        context.load_cert_chain(next(home.glob("*cert*.pem")), next(home.glob("*key*.pem")))
        context.set_alpn_protocols(["http/1.1"])
        server.stop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def shake_hands():
                try:
                    context.wrap_socket(listener.accept()[0], server_side=True).recv(1)
                except OSError:
                    pass
            threading.Thread(target=shake_hands, daemon=True).start()
            port = listener.getsockname()[1]
            refused = self.tern("bench", "-k", "--http2", "-c", "1", "-n", "1",
                                f"https://127.0.0.1:{port}/")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("h2", refused.stderr)
        self.assertEqual(refused.stderr.count("\n"), 1, refused.stderr)

    def test_no_server(self):
        server = self.serve()
        server.stop()
        refused = self.tern("bench", "-k", "--http2", "-n", "1", "-c", "1", self.over_tls(server))
        self.assertEqual(refused.returncode, 7, refused.stderr)
        self.assertEqual(refused.stderr.count("\n"), 1, refused.stderr)

    def test_what_does_not_fit_together(self):
        for arguments, code, words in (
                (("--http1.1", "-m", "2", "https://localhost/"), 2, "one request at a time"),
                (("--http3-only", "http://localhost/"), 3, "https://"),
                (("--http2", "--http1.1", "https://localhost/"), 2, "--http1.1"),
                (("--http2", "--chacha20", "https://localhost/"), 2, "--chacha20"),
                (("--http2", "--qlog", "x", "https://localhost/"), 2, "--qlog"),
                (("--http2", "--quic-version", "1", "https://localhost/"), 2, "--quic-version"),
                (("--connect", "--resume", "http://localhost/"), 2, "TLS")):
            refused = self.tern("bench", *arguments)
            self.assertEqual(refused.returncode, code, arguments)
            self.assertIn(words, refused.stderr)
