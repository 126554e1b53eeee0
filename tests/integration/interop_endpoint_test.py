"""`tern interop endpoint` with itself over loopback, as the interop runner's environment asks."""

import os
import re
import signal
import subprocess

from relay_test import Relay
from tern_program import PATIENCE, TERN, TernTest, environment, free_port

UNSUPPORTED = 127
CASES = ["handshake", "transfer", "chacha20", "retry", "resumption", "zerortt", "http3",
         "multiconnect", "ecn", "v2"]


class InteropEndpointTest(TernTest):
    def setUp(self):
        super().setUp()
        self.www, self.certs = self.folder / "www", self.folder / "certs"
        self.www.mkdir()
        self.tern("cert", "--dir", self.certs)
        (self.certs / "key.pem").rename(self.certs / "priv.key")

    def endpoint(self, role, testcase, *arguments, requests="", **env):
        return self.tern("interop", "endpoint", "--certs", self.certs, *arguments,
                         env={"ROLE": role, "TESTCASE": testcase, "REQUESTS": requests, **env})

    def serve_case(self, testcase, *arguments):
        """The URL of a server that ends with the test."""
        process = subprocess.Popen(
            [TERN, "interop", "endpoint", "--www", self.www, "--certs", self.certs,
             "--listen", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE, text=True,
            env=environment(self.home, ROLE="server", TESTCASE=testcase))

        def end():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=PATIENCE), 0)
            process.stdout.close()

        self.addCleanup(end)
        line = process.stdout.readline()
        port = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
        self.assertTrue(port, line)
        return f"https://127.0.0.1:{port[1]}"

    def fetch(self, testcase, server_case, files, *arguments, serving=(), **env):
        """Runs both roles; the client's words. Every file arrives as it is."""
        for name, size in files.items():
            (self.www / name).write_bytes(os.urandom(size))
        downloads = self.folder / f"downloads-{testcase}"
        downloads.mkdir()
        url = self.serve_case(server_case, *serving)
        done = self.endpoint("client", testcase, "--downloads", downloads, *arguments,
                             requests=" ".join(f"{url}/{name}" for name in files), **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({each.name for each in downloads.iterdir()}, set(files))
        for name in files:
            self.assertEqual((downloads / name).read_bytes(), (self.www / name).read_bytes(), name)
        return done.stderr

    def test_a_nat_forgets_a_client_that_only_listens(self):
        """What was on the way is lost, and the server sends to where the client was: the client has to say something.
        At several times, as it may have something to repeat anyway: a window that it has opened."""
        (self.www / "file").write_bytes(os.urandom(100_000))
        server = self.serve_case("transfer").removeprefix("https://")
        for cut in range(200, 340, 20):
            with self.subTest(cut=cut):
                script = self.folder / "forgetful.toml"
                script.write_text(f"""
delay = "5ms"
rate = "1500kbps"
queue = "8KiB"
at = [
  {{ time = "{cut}ms", do = "cut", direction = "down" }},
  {{ time = "{cut + 150}ms", do = "rebind" }},
  {{ time = "{cut + 200}ms", do = "restore", direction = "down" }},
]
""")
                downloads = self.folder / f"downloads-{cut}"
                downloads.mkdir()
                relay = Relay(self.home, server, "--script", script)
                self.addCleanup(relay.stop)
                done = self.endpoint("client", "transfer", "--downloads", downloads,
                                     requests=f"https://127.0.0.1:{relay.port}/file")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual((downloads / "file").read_bytes(), (self.www / "file").read_bytes())
                self.assertEqual(relay.stop()["rebindings"], 1)

    def test_unknown_cases_are_refused_before_anything_else(self):
        for role in ("client", "server"):
            for arguments in ([], ["--check"]):
                done = self.endpoint(role, "witty-otter", *arguments, "--www", "/nowhere")
                self.assertEqual(done.returncode, UNSUPPORTED, done.stderr)
                self.assertIn("witty-otter", done.stderr)
        # What one role alone is asked for.
        self.assertEqual(self.endpoint("server", "keyupdate").returncode, UNSUPPORTED)
        self.assertEqual(self.endpoint("client", "connectionmigration").returncode, UNSUPPORTED)

    def test_check_says_yes_and_does_nothing(self):
        for case in CASES:
            for role in ("client", "server"):
                done = self.endpoint(role, case, "--check", "--www", "/nowhere")
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_failure_is_exit_code_1(self):
        url = self.serve_case("handshake")
        failures = {
            "not the file": self.endpoint("client", "handshake", requests=f"{url}/missing"),
            "REQUESTS names no URL": self.endpoint("client", "handshake"),
            "names no file": self.endpoint("client", "handshake", requests=f"{url}/"),
            "/nowhere": self.endpoint("server", "handshake", "--www", "/nowhere"),
            "ROLE": self.endpoint("observer", "handshake"),
        }
        for words, done in failures.items():
            self.assertEqual(done.returncode, 1, done.stderr)
            if words != "not the file":
                self.assertIn(words, done.stderr)

    def test_handshake(self):
        said = self.fetch("handshake", "handshake", {"one": 1024})
        self.assertIn("QUICv1, hq-interop", said)
        self.assertNotIn("Retry", said)

    def test_transfer_of_files_larger_than_the_first_windows(self):
        self.fetch("transfer", "transfer", {"two": 2 << 20, "three": 3 << 20, "five": 5 << 20})

    def test_many_streams(self):
        self.fetch("transfer", "transfer", {f"f{number}": 32 for number in range(1999)})

    def test_chacha20(self):
        self.assertIn("TLS_CHACHA20_POLY1305_SHA256",
                      self.fetch("chacha20", "chacha20", {"file": 10_000}))

    def test_retry(self):
        self.assertIn("after Retry", self.fetch("retry", "retry", {"file": 10_000}))

    def test_resumption(self):
        said = self.fetch("resumption", "resumption", {"first": 5_000, "second": 10_000})
        self.assertEqual(said.count("QUICv1"), 2)
        self.assertEqual(said.count("resumed"), 1)
        self.assertNotIn("0-RTT", said)

    def test_zerortt_with_both_protocols(self):
        names = {f"{number:02}" + "x" * 248: 32 for number in range(40)}
        for alpn in ("hq-interop", "h3"):
            said = self.fetch("zerortt", "zerortt", names, "--alpn", alpn)
            self.assertEqual(said.count("0-RTT accepted"), 1, said)
            self.assertIn(f", {alpn}, ", said)
            (self.folder / "downloads-zerortt").rename(self.folder / alpn)

    def test_http3(self):
        self.assertIn(", h3, ", self.fetch("http3", "http3", {"a": 5_000, "b": 500_000}))

    def test_multiconnect(self):
        said = self.fetch("multiconnect", "multiconnect", {f"f{n}": 1024 for n in range(50)})
        self.assertEqual(said.count("QUICv1, hq-interop"), 50)

    def test_key_update(self):
        log = self.folder / "qlog"
        self.fetch("keyupdate", "transfer", {"file": 1 << 20}, QLOGDIR=str(log))
        self.assertEqual(len(list(log.iterdir())), 1)

    def test_version_2(self):
        self.assertIn("QUICv2", self.fetch("v2", "v2", {"file": 1024}))

    def test_preferred_address(self):
        said = self.fetch("transfer", "connectionmigration", {"file": 2 << 20},
                          serving=("--preferred", f"127.0.0.1:{free_port()}"))
        self.assertIn("QUICv1", said)

    def test_key_log(self):
        keys = self.folder / "keys.log"
        self.fetch("handshake", "handshake", {"file": 1024}, SSLKEYLOGFILE=str(keys))
        self.assertIn("SERVER_HANDSHAKE_TRAFFIC_SECRET ", keys.read_text())
