"""Bodies both ways, on both engines, with one worker and with two."""

import os
import select
import signal
import subprocess

from tern_program import HTTP3, PATIENCE, TERN, TernTest, environment


class EngineTest(TernTest):
    def exercise(self, kind, workers):
        server = self.serve("--engine", kind, "--workers", str(workers))
        self.assertIn(kind, server.start["engine"])
        self.assertEqual(server.start["workers"], workers)

        hello = self.assert_done(self.get(server, "/hello", "--engine", kind))
        self.assertEqual(hello.body, "hello over h3\n")
        line = server.access("/hello")
        self.assertEqual((line["protocol"], line["status"], line["bytes"]), ("h3", 200, 14))

        down = self.folder / "down"
        size = 8_000_000
        self.assert_done(self.get(server, f"/bytes/{size}", "-o", down, "--engine", kind))
        self.assert_pattern(down, size)

        back = self.folder / "back"
        up = self.assert_done(self.get(server, "/echo", "-X", "POST", "-T", down, "-o", back,
                                       "--engine", kind))
        self.assertEqual(up.transfer["sent_bytes"], size)
        self.assertEqual(back.read_bytes(), down.read_bytes())

    def test_one_worker(self):
        for kind in self.engines():
            with self.subTest(engine=kind):
                self.exercise(kind, 1)

    def test_two_workers(self):
        for kind in self.engines():
            with self.subTest(engine=kind):
                self.exercise(kind, 2)

    def test_auto_says_what_it_took_and_why(self):
        server = self.serve()
        self.assertIn(self.engines()[-1], server.start["engine"])

    def test_a_kind_that_is_not_there_is_an_error(self):
        for kind in ["epoll", "io_uring"]:
            if kind not in self.engines():
                refused = self.tern("serve", "--engine", kind, "--listen", "127.0.0.1:0")
                self.assertEqual(refused.returncode, 1)
                self.assertEqual(refused.stderr.count("\n"), 1, refused.stderr)


class RequestTest(TernTest):
    def test_many_urls_share_one_connection(self):
        server = self.serve()
        urls = [f"/bytes/{n}" for n in range(1, 61)]
        for flags in ([], ["--parallel"]):
            fetched = self.assert_done(self.get(server, *urls, *flags))
            self.assertEqual([t["body_bytes"] for t in fetched.transfers], list(range(1, 61)))
            self.assertEqual(fetched.connection["requests"], 60)

    def test_post_data(self):
        server = self.serve()
        form = self.get(server, "/echo", "-d", "a=1", "-d", "b=2")
        self.assertEqual(form.body, "a=1&b=2")
        self.assertIn(["content-type", "application/x-www-form-urlencoded"],
                      form.transfer["headers"])
        document = self.get(server, "/echo", "--json-body", '{"a":1}')
        self.assertEqual(document.body, '{"a":1}')
        self.assertIn(["content-type", "application/json"], document.transfer["headers"])
        file = self.folder / "lines"
        file.write_text("one\ntwo\n")
        self.assertEqual(self.get(server, "/echo", "-d", f"@{file}").body, "onetwo")
        self.assertEqual(self.get(server, "/echo", "--data-binary", f"@{file}").body, "one\ntwo\n")

    def test_upload_from_stdin(self):
        server = self.serve()
        fetched = self.get(server, "/echo", "-X", "POST", "-T", "-", input="from a pipe")
        self.assertEqual(fetched.body, "from a pipe")

    def test_an_upload_from_a_pipe_holds_nothing_up(self):
        """What the server says meanwhile is shown, a time limit counts, and so does Ctrl-C."""
        server = self.serve()
        words = ["get", HTTP3, "--cacert", self.ca, *self.reach(server), "-X", "POST", server.url + "/echo"]
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        for file in ("-", fifo):
            with self.subTest(file=file):
                late = self.start(*words, "-m", "500ms", "-T", file)
                self.assertEqual(late.wait(timeout=PATIENCE), 28)
        talking = self.start(*words, "-T", "-")
        talking.stdin.write(b"one")
        talking.stdin.flush()
        shown, _, _ = select.select([talking.stdout], [], [], PATIENCE)
        self.assertTrue(shown, "no answer before the end of stdin")
        self.assertEqual(talking.stdout.read(3), b"one")
        talking.send_signal(signal.SIGINT)
        self.assertEqual(talking.wait(timeout=PATIENCE), 130)

    def test_a_reader_that_takes_its_time_holds_nothing_up(self):
        """Who pages through a download does not lose it; a time limit counts meanwhile, and so does Ctrl-C."""
        server = self.serve()
        words = ["get", "--cacert", self.ca, *self.reach(server), server.url + "/bytes/50000000"]
        for protocol in (HTTP3, "--http2"):
            with self.subTest(protocol=protocol):
                late = self.start(*words, protocol, "-m", "1s")
                self.assertEqual(late.wait(timeout=PATIENCE), 28)
                paging = self.start(*words, protocol)
                self.assertEqual(paging.stdout.read(3), b"\0\1\2")
                paging.send_signal(signal.SIGINT)
                self.assertEqual(paging.wait(timeout=PATIENCE), 130)
        whole = self.start(*words, HTTP3)
        body, _ = whole.communicate(timeout=PATIENCE)
        period = bytes(range(251))
        self.assertTrue(body == (period * (len(body) // 251 + 1))[:50_000_000], f"{len(body)} other bytes")

    def start(self, *words):
        """`tern WORDS`, whose stdin stays open."""
        process = subprocess.Popen([TERN, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=environment(self.home))
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_head_and_headers(self):
        server = self.serve()
        head = self.get(server, "-I", "/bytes/1000")
        self.assertEqual(head.transfer["status"], 200)
        self.assertEqual(head.transfer["body_bytes"], 0)
        self.assertIn(["content-length", "1000"], head.transfer["headers"])
        shown = self.tern("get", HTTP3, "-i", "--cacert", self.ca, *self.reach(server),
                          "-H", "content-type: text/x-tern", "-d", "body", server.url + "/echo")
        self.assertEqual(shown.stdout.splitlines()[0], "HTTP/3 200 OK")
        self.assertIn("content-type: text/x-tern", shown.stdout.splitlines())
        self.assertTrue(shown.stdout.endswith("\nbody"))

    def test_who_asks_and_for_what(self):
        server = self.serve()
        shown = self.tern("get", HTTP3, "-v", "-A", "me/1.0", "-u", "user:pass word", "-r", "0-3",
                          "--cacert", self.ca, *self.reach(server), server.url + "/style.css")
        self.assertEqual((shown.returncode, len(shown.stdout)), (0, 4), shown.stderr)
        for line in ("> user-agent: me/1.0", "> authorization: Basic dXNlcjpwYXNzIHdvcmQ=", "> range: bytes=0-3",
                     "< HTTP/3 206 Partial Content"):
            self.assertIn(line, shown.stderr.splitlines())

    def test_the_head_goes_where_the_body_goes(self):
        server = self.serve()
        out = self.folder / "out"
        reach = ["--cacert", self.ca, *self.reach(server), "-o", out]
        for flags, ending in ((["-i"], "\n\nhello over h3\n"), (["-I"], "\n\n")):
            with self.subTest(flags=flags):
                shown = self.tern("get", HTTP3, *flags, *reach, server.url + "/hello")
                self.assertEqual((shown.returncode, shown.stdout), (0, ""), shown.stderr)
                text = out.read_text()
                self.assertEqual(text.splitlines()[0], "HTTP/3 200 OK")
                self.assertIn("\ncontent-length: 14\n", text)
                self.assertTrue(text.endswith(ending), text)
        report = self.assert_done(self.get(server, "/hello", "-i", "-o", out))
        self.assertEqual(report.transfer["body_bytes"], 14)

    def test_verbose_tells_the_handshake_and_the_end(self):
        server = self.serve()
        shown = self.tern("get", HTTP3, "-v", "--stats", "--cacert", self.ca, *self.reach(server),
                          server.url + "/hello")
        self.assertEqual(shown.stdout, "hello over h3\n")
        for part in ("connected: QUICv1, h3, TLS_", "> GET /hello HTTP/3", "< HTTP/3 200 OK",
                     "connection closed: H3_NO_ERROR (local)", "RTT"):
            self.assertIn(part, shown.stderr)

    def test_demo_site(self):
        server = self.serve()
        page = self.assert_done(self.get(server, "/"))
        self.assertIn("<!doctype html>", page.body.lower())
        for wrong in ("/bytes/-1", "/bytes/99999999999", "/bytes/x"):
            self.assertEqual(self.get(server, wrong).transfer["status"], 400)
        self.assertEqual(self.get(server, "/echo").transfer["status"], 405)
        self.assertEqual(self.get(server, "/nothing").transfer["status"], 404)
