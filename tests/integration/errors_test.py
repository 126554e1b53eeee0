"""What goes wrong ends in one line and curl's exit code."""

import json
import pathlib
import socket

from tern_program import TernTest


class ExitCodeTest(TernTest):
    def assert_code(self, finished, code, *parts):
        self.assertEqual(finished.returncode, code, finished.stderr)
        self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
        for part in parts:
            self.assertIn(part, finished.stderr)

    def test_usage(self):
        for words in (["get", "--nonsense", "https://x/"], ["nonsense"], ["get"],
                      ["get", "--early-data", "https://x/"],
                      ["get", "--cert", "x.pem", "https://x/"],
                      ["get", "-H", "no colon", "https://x/"],
                      ["get", "--quic-version", "3", "https://x/"],
                      ["get", "--resolve", "nonsense", "https://x/"],
                      ["get", "-m", "soon", "https://x/"],
                      ["get", "--migrate-at", "later", "https://x/"],
                      ["serve", "--engine", "kqueue"],
                      ["serve", "--congestion", "vegas"],
                      ["serve", "--listen", "example.com"],
                      ["serve", "--cert", "only.pem"],
                      ["serve", "/nonexistent/folder"],
                      ["bench", "--resume", "https://x/"]):
            with self.subTest(words=words):
                self.assert_code(self.tern(*words), 2)

    def test_bad_url(self):
        for url in ("http://example.com/", "https://", "https://[::1/", "https://a:99999/"):
            with self.subTest(url=url):
                self.assert_code(self.tern("get", url), 3)
                self.assert_code(self.tern("bench", url), 3)

    def test_cannot_resolve(self):
        self.assert_code(self.tern("get", "https://nothing.invalid/"), 6, "nothing.invalid")

    def test_nobody_answers(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        self.assert_code(self.tern("get", "-k", "--connect-timeout", "300ms", url), 28)

    def test_max_time(self):
        server = self.serve()
        fetched = self.get(server, "/bytes/10000000000", "-o", pathlib.Path("/dev/null"), "-m", "300ms")
        self.assertEqual(fetched.code, 28, fetched.report)
        self.assertGreater(fetched.transfer["received_bytes"], 0)

    def test_fail(self):
        server = self.serve()
        shown = self.tern("get", "--fail", "--cacert", self.ca, *self.reach(server),
                          server.url + "/nothing")
        self.assert_code(shown, 22, "404")
        self.assertEqual(shown.stdout, "")

    def test_first_failure_counts(self):
        server = self.serve()
        fetched = self.get(server, "/hello", "/nothing", "/hello", "--fail")
        self.assertEqual(fetched.code, 22)
        self.assertEqual([t["exit_code"] for t in fetched.transfers], [0, 22, 0])

    def test_cannot_write(self):
        server = self.serve()
        shown = self.tern("get", "--cacert", self.ca, *self.reach(server), "-o",
                          self.folder / "no" / "such" / "folder", server.url + "/hello")
        self.assert_code(shown, 23, "folder")

    def test_cannot_read(self):
        self.assert_code(self.tern("get", "-T", self.folder / "nothing", "https://x/"), 26,
                         "nothing")

    def test_not_trusted(self):
        server = self.serve()
        shown = self.tern("get", *self.reach(server), server.url + "/hello")
        self.assert_code(shown, 60, "--cacert")
        # The right CA, the wrong name.
        wrong = self.tern("get", "--cacert", self.ca, "--resolve",
                          f"other.test:{server.port}:127.0.0.1",
                          f"https://other.test:{server.port}/hello")
        self.assert_code(wrong, 60)
        trusted = self.tern("get", "-k", *self.reach(server), server.url + "/hello")
        self.assertEqual(trusted.stdout, "hello over h3\n", trusted.stderr)

    def test_server_errors(self):
        server = self.serve()
        taken = self.tern("serve", "--listen", f"127.0.0.1:{server.port}")
        self.assert_code(taken, 1, "another port")
        missing = self.tern("serve", "--cert", "/nonexistent.pem", "--key", "/nonexistent.key")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("/nonexistent.pem", missing.stderr)
        made = json.loads(self.tern("cert", "--json").stdout)
        other = json.loads(self.tern("cert", "--json", "--dir", self.folder / "other").stdout)
        mixed = self.tern("serve", "--cert", made["certificate"], "--key", other["key"])
        self.assertEqual(mixed.returncode, 2)
        self.assertEqual(mixed.stderr.count("\n"), 1, mixed.stderr)

    def test_help_of_every_verb_has_an_example(self):
        verbs = ["serve", "get", "bench", "cert", "version"]
        top = self.tern("--help").stdout
        for verb in verbs:
            self.assertIn(verb, top)
            shown = self.tern(verb, "--help")
            self.assertEqual(shown.returncode, 0)
            self.assertIn(f"tern {verb}", shown.stdout)
            self.assertIn("Example", shown.stdout)
