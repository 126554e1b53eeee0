"""`tern interop endpoint --webtransport` with itself over loopback, as the interop runner's environment asks."""

import os
import re
import signal
import subprocess
import time

from tern_program import PATIENCE, TERN, TernTest, environment

UNSUPPORTED = 127
FILES = {"small": 100, "large": 1_500_000, "empty": 0}
DATAGRAMS = {f"datagram{size}": size for size in range(600, 1000, 8)}


class InteropWebTransportTest(TernTest):
    def setUp(self):
        super().setUp()
        self.certs = self.folder / "certs"
        self.tern("cert", "--dir", self.certs)
        (self.certs / "key.pem").rename(self.certs / "priv.key")
        self.www, self.downloads = {}, {}
        for role in ("client", "server"):
            self.www[role] = self.folder / f"www-{role}"
            self.downloads[role] = self.folder / f"downloads-{role}"
            (self.www[role] / "place").mkdir(parents=True)
            self.downloads[role].mkdir()

    def flags(self, role):
        return ["interop", "endpoint", "--webtransport", "--certs", self.certs,
                "--www", self.www[role], "--downloads", self.downloads[role]]

    def serve_case(self, testcase, **env):
        process = subprocess.Popen(
            [TERN, *self.flags("server"), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
            text=True, env=environment(self.home, ROLE="server", TESTCASE=testcase, **env))

        def end():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=PATIENCE), 0)
            process.stdout.close()

        self.addCleanup(end)
        port = re.search(r"listening on 127\.0\.0\.1:(\d+)", process.stdout.readline())
        self.assertTrue(port)
        return f"https://127.0.0.1:{port[1]}"

    def client(self, testcase, requests, **env):
        return self.tern(*self.flags("client"), env={"ROLE": "client", "TESTCASE": testcase,
                                                     "REQUESTS": requests, **env})

    def transfer(self, kind, direction, files):
        asking, answering = ("client", "server") if direction == "receive" else ("server", "client")
        for name, size in files.items():
            (self.www[answering] / "place" / name).write_bytes(os.urandom(size))
        paths = [f"/place/{name}" for name in files]
        case = f"transfer-{kind}-{direction}"
        if asking == "client":
            url = self.serve_case("transfer")
            done = self.client(case, " ".join(url + path for path in paths))
        else:
            url = self.serve_case(case, REQUESTS=" ".join(paths))
            done = self.client("transfer", url + "/place")
        self.assertEqual(done.returncode, 0, done.stderr)
        there = self.downloads[asking] / "place"
        self.assertEqual({each.name for each in there.iterdir()}, set(files))
        for name in files:
            self.assertEqual((there / name).read_bytes(),
                             (self.www[answering] / "place" / name).read_bytes(), name)

    def test_transfers(self):
        for kind in ("unidirectional", "bidirectional"):
            for direction in ("receive", "send"):
                with self.subTest(kind=kind, direction=direction):
                    self.transfer(kind, direction, FILES)

    def test_datagrams(self):
        for direction in ("receive", "send"):
            with self.subTest(direction=direction):
                self.transfer("datagram", direction, DATAGRAMS)

    def test_the_protocol_is_the_clients_first_that_the_server_has(self):
        url = self.serve_case("handshake", PROTOCOLS="d b a c")
        done = self.client("handshake", f"{url}/place", PROTOCOLS="x a y b z")
        self.assertEqual(done.returncode, 0, done.stderr)
        for role in ("client", "server"):
            self.assertEqual((self.downloads[role] / "negotiated_protocol.txt").read_text(), "a")

    def test_several_endpoints_at_once(self):
        (self.www["server"] / "other").mkdir()
        for place in ("place", "other"):
            (self.www["server"] / place / "file").write_text(place)
        url = self.serve_case("transfer")
        done = self.client("transfer-bidirectional-receive", f"{url}/place/file {url}/other/file")
        self.assertEqual(done.returncode, 0, done.stderr)
        for place in ("place", "other"):
            self.assertEqual((self.downloads["client"] / place / "file").read_text(), place)

    def test_no_way_out_of_the_folders(self):
        (self.folder / "www-server" / "secret").write_text("secret")
        url = self.serve_case("transfer")
        for path in ("/place/..%2fsecret", "/place/a/b", "/.hidden/file", "/"):
            done = self.client("transfer-bidirectional-receive", url + path)
            self.assertNotEqual(done.returncode, 0, path)
        self.assertEqual(list(self.downloads["client"].rglob("*secret*")), [])

    def test_what_is_not_there_fails_the_client(self):
        url = self.serve_case("transfer")
        begun = time.monotonic()
        done = self.client("transfer-bidirectional-receive", f"{url}/place/nothing")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("nothing", done.stderr)
        self.assertLess(time.monotonic() - begun, PATIENCE)

    def test_unknown_cases(self):
        for role, testcase in (("client", "retry"), ("server", "transfer-datagram-receive"),
                               ("client", "transfer-datagram-send"), ("server", "nonsense")):
            done = self.tern(*self.flags(role), env={"ROLE": role, "TESTCASE": testcase})
            self.assertEqual(done.returncode, UNSUPPORTED, (role, testcase, done.stderr))
            self.assertIn(testcase, done.stderr)
