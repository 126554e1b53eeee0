"""What goes wrong ends in one line and curl's exit code."""

import json
import pathlib
import socket

from tern_program import HTTP3, TernTest


class ExitCodeTest(TernTest):
    def assert_code(self, finished, code, *parts):
        self.assertEqual(finished.returncode, code, finished.stderr)
        self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
        for part in parts:
            self.assertIn(part, finished.stderr)

    def test_usage(self):
        for words in (["get", "--nonsense", "https://x/"], ["nonsense"], ["get"],
                      ["get", "--early-data", "https://x/"],
                      ["get", "--key", "x.pem", "https://x/"], ["call", "--key", "x.pem", "https://x/a.B/C"],
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
                      ["serve", "--config", "/nonexistent.toml"],
                      ["call", "--cacert", "/dev/null", "https://x/a.B/C"],
                      ["get", "-4", "https://x/"], ["ws", "-6"], ["bench", "-1"],
                      *(["get", "--http2", *flags, "https://x/"]
                        for flags in (["--chacha20"], ["--quic-version", "2"], ["--key-update"], ["--migrate-at", "1s"],
                                      ["--congestion", "bbr"], ["--qlog", "."], ["--early-data", "--session", "s"])),
                      ["get", "--http1.1", "--key-update", "https://x/"],
                      ["bench", "--http2", "--congestion", "bbr", "https://x/"],
                      ["ws", "--carrier", "h2", "--qlog", ".", "wss://x/"],
                      ["wt", "--carrier", "websocket", "--qlog", ".", "https://x/"],
                      ["call", "--http1.1", "--qlog", ".", "https://x/a.B/C"],
                      ["bench", "--resume", "https://x/"],
                      ["serve", "--cache-control", "max-age=1"], ["serve", "--autoindex"],
                      ["serve", "--dotfiles"], ["serve", "/", "--cache-control", "a\nb"],
                      ["cert", "bad name"], ["cert", ""],
                      # A variable of the shell that is not set.
                      ["serve", ""], ["serve", "--client-ca", ""], ["serve", "--state-dir", ""],
                      ["serve", "--handover", ""], ["serve", "--config", ""], ["serve", "--server-id", ""],
                      ["serve", "--qlog", ""], ["serve", "--cid-key", ""],
                      ["get", "--cacert", "", "https://x/"], ["get", "--local-address", "", "https://x/"],
                      ["get", "-T", "", "https://x/"],
                      ["get", "-u", "", "https://x/"], ["get", "-r", "", "https://x/"], ["get", "-X", "", "https://x/"],
                      ["get", "-X", "BAD METHOD", "https://x/"],
                      ["get", "-H", "content-length: 5", "-d", "abc", "https://x/"],
                      ["get", "-I", "-d", "x", "https://x/"], ["get", "-I", "-T", __file__, "https://x/"],
                      ["get", "-o", "a", "-o", "b", "https://x/"],
                      ["serve", "--max-connection-age-grace", "5s"], ["serve", "--handover-drain", "5s"],
                      ["serve", "--preferred-address", "127.0.0.1:1", "--preferred-address", "127.0.0.2:1"],
                      ["bench", "--idle", "-n", "5", "https://x/"],
                      ["bench", "--server-pid", "99999999", "https://x/"],
                      ["bench", "-D", "0", "https://x/"]):
            with self.subTest(words=words):
                self.assert_code(self.tern(*words), 2)

    def test_files_for_trust(self):
        for words, code in ((["get", "--cacert", "/nonexistent.pem", "https://x/"], 77),
                            (["bench", "--cacert", "/dev/null", "https://x/"], 77),
                            (["ws", "--cacert", "/dev/null", "wss://x/"], 77),
                            (["get", "--cert", "/dev/null", "--key", "/dev/null", "https://x/"], 58)):
            with self.subTest(words=words):
                self.assert_code(self.tern(*words), code, "/dev/null" if "/dev/null" in words else "/nonexistent.pem")

    def test_numbers(self):
        """Each complaint has the flag, the value and what would do."""
        for words, part in ((["serve", "--workers", "-1"], "from 0 to 256"),
                            (["serve", "--max-connections", "-1"], "from 1 on"),
                            (["serve", "--max-connections", "x"], "from 1 on"),
                            (["serve", "--max-connections", "99999999999999999999"], "from 1 on"),
                            (["get", "--retry", "-1", "https://x/"], "from 0 to 1000"),
                            (["get", "--max-redirs", "x", "https://x/"], "no whole number"),
                            (["bench", "-n", "0", "https://x/"], "from 1 on"),
                            (["bench", "-c", "1.5", "https://x/"], "from 1 to 100000"),
                            (["bench", "--rate", "0", "https://x/"], "above 0"),
                            (["bench", "--rate", "x", "https://x/"], "above 0"),
                            (["bench", "--server-pid", "0", "https://x/"], "from 1 to"),
                            (["handoff", "--seeds", "0"], "from 1 to"),
                            (["handoff", "sudden-cut", "--seed", "-1"], "no whole number"),
                            (["relay", "-l", "0", "-t", "x:1", "--max-clients", "0"], "from 1 to"),
                            (["wt", "--close-code", "99999999999", "https://x/"], "from 0 to"),
                            (["cert", "--days", "0"], "from 1 to 398")):
            with self.subTest(words=words):
                shown = self.tern(*words)
                self.assert_code(shown, 2, part)
                self.assertLess(len(shown.stderr), 160, shown.stderr)

    def test_bad_url(self):
        for url, named in (("https://", '"https://"'), ("https://[::1/", "[::1"), ("https://a:99999/", "99999")):
            with self.subTest(url=url):
                self.assert_code(self.tern("get", url), 3, named)
                self.assert_code(self.tern("bench", url), 3, named)
        self.assert_code(self.tern("get", "--http3-only", "http://example.com/"), 3, "https://")
        self.assert_code(self.tern("bench", "ftp://example.com/"), 3)
        self.assert_code(self.tern("get", "ftp://example.com/"), 1, "only https and http")
        self.assert_code(self.tern("get", "-x", "http://nothing.invalid", "http://example.com/"), 5, "nothing.invalid")

    def test_cannot_resolve(self):
        self.assert_code(self.tern("get", "https://nothing.invalid/"), 6, "nothing.invalid")

    def test_nobody_answers(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        self.assert_code(
            self.tern("get", "-k", "--http3-only", "--connect-timeout", "300ms", url), 28)
        told = json.loads(self.tern("get", "-k", "--json", "--connect-timeout", "1s", url).stdout)
        self.assertEqual({each["version"] for each in told["connections"]}, {"", "TCP"}, told)
        self.assert_code(self.tern("get", "-k", "--connect-timeout", "2s", url), 7,
                         "nobody listens on that TCP port, and nobody answers over UDP")

    def test_nobody_listens(self):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            closed = socket.socket(family, socket.SOCK_DGRAM)
            closed.bind((host, 0))
            port = closed.getsockname()[1]
            closed.close()
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            for kind in self.engines():
                with self.subTest(where=where, engine=kind):
                    # ICMP says it; a time-out would be 28.
                    self.assert_code(self.tern("get", "--engine", kind, f"https://{where}/"), 7,
                                     where, "nobody listens")
                    self.assert_code(self.tern("bench", "--engine", kind, f"https://{where}/"), 7,
                                     where, "nobody listens")
        self.assert_code(self.tern("get", f"https://localhost:{port}/"), 7, "nobody listens")
        self.assert_code(self.tern("bench", f"https://localhost:{port}/"), 7, "nobody listens")

    def test_nobody_listens_any_more(self):
        server = self.serve()
        session = self.folder / "session"
        self.assert_done(self.get(server, "/hello", "--session", session))
        server.stop()
        # With 0-RTT the connection is ready before anybody has answered.
        gone = self.get(server, "/hello", "--session", session, "--early-data")
        self.assertEqual(gone.code, 7, gone.report)

    def test_no_way(self):
        # From loopback there is no way to anywhere else.
        self.assert_code(self.tern("get", "--local-address", "127.0.0.1", "https://203.0.113.1/"), 7,
                         "203.0.113.1")
        # Of localhost's two addresses the other one is not tried: it would tell less.
        for protocol in ("--http3", "--http3-only", "--http2"):
            self.assert_code(self.tern("get", protocol, "--local-address", "192.0.2.1", "https://localhost:1/"), 7,
                             "127.0.0.1:1", "Cannot assign requested address")
            self.assert_code(self.tern("get", protocol, "--local-address", "192.0.2.1", "https://[::1]:1/"), 7,
                             "192.0.2.1 is of the other IP version")

    def test_silence(self):
        nobody = ("get", "-s", "https://nothing.invalid/")
        self.assertEqual((self.tern(*nobody).returncode, self.tern(*nobody).stderr), (6, ""))
        unreadable = ("get", "--silent", "-T", "/nonexistent", "https://nothing.invalid/")
        self.assertEqual((self.tern(*unreadable).returncode, self.tern(*unreadable).stderr), (26, ""))
        self.assert_code(self.tern(*nobody, "-S"), 6, "nothing.invalid")

    def test_words_that_are_nearly_right(self):
        self.assert_code(self.tern("serv"), 2, "did you mean serve?")
        self.assert_code(self.tern("get", "--cacrt", "x", "https://x/"), 2, "did you mean --cacert or --cert?")
        self.assert_code(self.tern("get", "--qqq", "https://x/"), 2, "unknown argument '--qqq'; see")

    def test_max_time(self):
        server = self.serve()
        fetched = self.get(server, "/events", "-o", pathlib.Path("/dev/null"), "-m", "3s")
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
        trusted = self.tern("get", HTTP3, "-k", *self.reach(server), server.url + "/hello")
        self.assertEqual(trusted.stdout, "hello over h3\n", trusted.stderr)

    def test_server_errors(self):
        server = self.serve()
        taken = self.tern("serve", "--listen", f"127.0.0.1:{server.port}")
        self.assert_code(taken, 1, "another port")
        elsewhere = self.tern("serve", "--listen", "203.0.113.1:0")
        self.assert_code(elsewhere, 1, "203.0.113.1", "does not have that address")
        self.assertEqual(elsewhere.stderr.count("203.0.113.1"), 1, elsewhere.stderr)
        homeless = self.tern("serve", env={"XDG_DATA_HOME": "/proc/nothing"})
        self.assert_code(homeless, 23, "/proc/nothing", "--cert and --key")
        missing = self.tern("serve", "--cert", "/nonexistent.pem", "--key", "/nonexistent.key")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("/nonexistent.pem", missing.stderr)
        made = json.loads(self.tern("cert", "--json").stdout)
        other = json.loads(self.tern("cert", "--json", "--dir", self.folder / "other").stdout)
        mixed = self.tern("serve", "--cert", made["certificate"], "--key", other["key"])
        self.assertEqual(mixed.returncode, 2)
        self.assertEqual(mixed.stderr.count("\n"), 1, mixed.stderr)

    def test_a_file_is_no_socket_for_a_handover(self):
        precious = self.folder / "precious"
        precious.write_text("mine")
        shown = self.tern("serve", "--listen", "127.0.0.1:0", "--handover", precious)
        self.assert_code(shown, 2, "precious", "no unix socket")
        self.assertEqual(precious.read_text(), "mine")

    def test_client_ca(self):
        nonsense = self.folder / "nonsense.pem"
        nonsense.write_text("nonsense")
        for file in (nonsense, self.folder, self.folder / "nothing"):
            with self.subTest(file=file):
                self.assert_code(self.tern("serve", "--client-ca", file), 2, "--client-ca",
                                 str(file))

    def test_not_trusted_by_bench(self):
        server = self.serve()
        load = self.tern("bench", "-n", "1", f"https://127.0.0.1:{server.port}/hello")
        self.assert_code(load, 60, "--cacert", "-k")

    def test_no_server_of_rpc(self):
        server = self.serve()
        shown = self.tern("call", "--cacert", self.ca, *self.reach(server),
                          server.url + "/pkg.Service/Method")
        self.assertIn("--schema", shown.stderr)
        self.assertEqual(shown.stderr.count("\n"), 1, shown.stderr)

    def test_config_errors_name_the_line(self):
        config = self.folder / "tern.toml"
        for text, line, part in (("retry = true\nworkrs = 2\n", 2, "workrs"),
                                 ("\n\nlog = \"loud\"\n", 3, "loud"),
                                 ("engine = \"kqueue\"\n", 1, "kqueue"),
                                 ("listen 4433\n", 1, "expected '='")):
            with self.subTest(text=text):
                config.write_text(text)
                self.assert_code(self.tern("serve", "--config", config), 2,
                                 f"{config}:{line}: ", part)

    def test_help_of_every_verb_has_an_example(self):
        verbs = ["serve", "get", "call", "ws", "wt", "bench", "handoff", "relay", "interop",
                 "cert", "version"]
        top = self.tern("--help").stdout
        for verb in verbs:
            self.assertIn(verb, top)
            shown = self.tern(verb, "--help")
            self.assertEqual(shown.returncode, 0)
            self.assertIn(f"tern {verb}", shown.stdout)
            self.assertIn("Example", shown.stdout)
