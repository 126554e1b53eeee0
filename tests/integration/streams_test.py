"""What operators do with HTTP/2 and HTTP/1.1: client certificates, new certificates, key logs, resumption,
workers."""

import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import threading

from tern_program import PATIENCE, TernTest

VERSIONS = {"h2": "--http2", "http/1.1": "--http1.1"}


class StreamTest(TernTest):
    def over(self, version, server, *arguments, **options):
        fetched = self.get(server, VERSIONS[version], *arguments, **options)
        for transfer in fetched.transfers:
            if "protocol" in transfer:
                self.assertEqual(transfer["protocol"], version)
        return fetched

    def assert_over(self, version, server, *arguments, **options):
        fetched = self.over(version, server, *arguments, **options)
        self.assertEqual(fetched.code, 0, fetched.stderr)
        return fetched

    def context(self, ca, alpn=("http/1.1",)):
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, server, ca):
        connection = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE,
                                                 context=self.context(ca))
        self.addCleanup(connection.close)
        connection.connect()
        return connection

    def say_hello(self, connection):
        connection.request("GET", "/hello")
        return connection.getresponse().read()


class HandshakeTest(StreamTest):
    def test_a_handshake_that_fails_is_told(self):
        server = self.serve()
        cbc = self.context(self.ca)
        cbc.maximum_version = ssl.TLSVersion.TLSv1_2
        cbc.set_ciphers("AES128-SHA")
        for context, said in ((self.context(self.ca, ("nonsense",)), "no_application_protocol"),
                              (cbc, "handshake_failure"), (None, "the peer does not speak TLS")):
            with self.subTest(said=said), socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
                port = client.getsockname()[1]
                if context is None:
                    client.sendall(b"SSH-2.0-x\r\n")
                else:
                    with self.assertRaises(ssl.SSLError):
                        context.wrap_socket(client, server_hostname="localhost")
                line = server.event("message")
                self.assertEqual(line["level"], "info")
                self.assertTrue(line["text"].startswith(f"tls with 127.0.0.1:{port}: {said}"), line)
        # A port that is looked at is not worth a line.
        socket.create_connection(("127.0.0.1", server.port), PATIENCE).close()
        self.assertIn("hello", self.over("h2", server, "/hello").body)
        self.assertEqual(server.counters()["server.tls.failed"], 4)
        server.stop()
        texts = []
        while line := server.next_line():
            texts.append(line.get("text", ""))
        self.assertFalse([text for text in texts if text.startswith("tls with")], texts)


class CertificateTest(StreamTest):
    def test_mutual_tls(self):
        made, other = (json.loads(self.tern("cert", "--json", "--dir", self.folder / name,
                                            "client.test").stdout) for name in ("own", "other"))
        server = self.serve("--client-ca", made["ca"])
        def proof(of):
            return ["--cert", pathlib.Path(of["certificate"]), "--key", pathlib.Path(of["key"])]

        for version in VERSIONS:
            self.assert_over(version, server, *proof(made), "/hello")
            self.assertNotEqual(self.over(version, server, "/hello").code, 0)
            self.assertNotEqual(self.over(version, server, *proof(other), "/hello").code, 0)
        # RFC 8446 §6.2: whoever comes without is told why.
        with self.assertRaisesRegex(ssl.SSLError, "CERTIFICATE_REQUIRED"):
            self.say_hello(self.connect(server, self.ca))

    def test_a_new_certificate_leaves_connections_alone(self):
        one, two = (json.loads(self.tern("cert", "--json", "--dir", self.folder / name).stdout)
                    for name in ("one", "two"))
        server = self.serve("--cert", one["certificate"], "--key", one["key"], "--workers", "2")
        old = [self.connect(server, one["ca"]) for _ in range(4)]
        for connection in old:
            self.assertEqual(self.say_hello(connection), b"hello over http/1.1\n")
        sockets = [connection.sock for connection in old]
        for kind in ("certificate", "key"):
            pathlib.Path(one[kind]).write_text(pathlib.Path(two[kind]).read_text())
        server.signal(signal.SIGHUP)
        server.event("message", text=two["spki_sha256"])
        for connection in old:
            self.assertEqual(self.say_hello(connection), b"hello over http/1.1\n")
        self.assertEqual(sockets, [connection.sock for connection in old])  # none was made anew
        self.assertEqual(self.say_hello(self.connect(server, two["ca"])), b"hello over http/1.1\n")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect(server, one["ca"])


class SessionTest(StreamTest):
    def test_tickets_resume(self):
        state = self.folder / "state"
        server = self.serve("--state-dir", state)
        for version in VERSIONS:
            session = self.folder / f"session-{version.replace('/', '')}"
            first = self.assert_over(version, server, "--session", session, "/hello")
            self.assertFalse(first.connection["resumed"])
            for _ in range(2):  # each ticket is used once
                again = self.assert_over(version, server, "--session", session, "/hello")
                self.assertTrue(again.connection["resumed"])
        self.assertEqual(server.counters()["server.tls.resumed"], 4)

    def test_openssl_resumes_and_so_after_a_restart(self):
        state = self.folder / "state"
        server = self.serve("--state-dir", state)
        session = self.folder / "session.pem"

        def handshake(port, *arguments):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
                 "-CAfile", self.ca, "-alpn", "http/1.1", "-ign_eof", *arguments],
                input="GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                capture_output=True, text=True, timeout=PATIENCE)
            self.assertIn("hello over http/1.1", done.stdout, done.stderr)
            return done.stdout

        for version in ("-tls1_3", "-tls1_2"):
            with self.subTest(version=version):
                self.assertIn("\nNew, ", handshake(server.port, version, "-sess_out", session))
                self.assertIn("\nReused, ", handshake(server.port, version, "-sess_in", session))
                self.assertIn("\nNew, ", handshake(server.port, version, "-sess_out", session))
                server.stop()
                server = self.serve("--state-dir", state)
                self.assertIn("\nReused, ", handshake(server.port, version, "-sess_in", session))

    def test_key_logs_of_both_sides_say_the_same(self):
        logs = {side: self.folder / f"{side}.keys" for side in ("server", "client")}
        server = self.serve(env={"SSLKEYLOGFILE": str(logs["server"])})
        for version in VERSIONS:
            self.assert_over(version, server, "/hello", env={"SSLKEYLOGFILE": str(logs["client"])})
        server.stop()
        lines = {side: sorted(log.read_text().splitlines()) for side, log in logs.items()}
        self.assertEqual(lines["server"], lines["client"])
        names = [line.split()[0] for line in lines["client"]]
        for name in ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                     "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"):
            self.assertEqual(names.count(name), 2, names)


class WorkerTest(StreamTest):
    def test_workers_share_clients(self):
        """By the processor time of the workers' threads: the kernel chooses by the client's port."""
        for engine in self.engines():
            with self.subTest(engine=engine):
                server = self.serve("--workers", "2", "--engine", engine)
                threads = [threading.Thread(target=self.fetch_much, args=[server])
                           for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(server.counters()["server.tcp.accepted"], 80)
                busiest = sorted(self.busy(server), reverse=True)[:2]
                self.assertGreater(busiest[1], 0.2 * busiest[0], busiest)

    def fetch_much(self, server):
        for _ in range(10):
            connection = self.connect(server, self.ca)
            connection.request("GET", "/bytes/5000000")
            self.assertEqual(len(connection.getresponse().read()), 5_000_000)
            connection.close()

    @staticmethod
    def busy(server):
        """Clock ticks of each thread of the process (proc(5): utime and stime)."""
        for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            yield int(fields[11]) + int(fields[12])
