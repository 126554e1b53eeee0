"""stdin, stdout and stderr as shells leave them: closed, full, or read no further."""

import json
import os
import signal
import socket
import subprocess

from tern_program import HTTP3, PATIENCE, TERN, TernTest, environment, free_port


class StandardStreamsTest(TernTest):
    def shell(self, redirection, *words, stdin=None):
        """`tern WORDS REDIRECTION`, as a shell runs it."""
        return subprocess.run(
            ["bash", "-c", f'"$0" "$@" {redirection}', TERN, *map(str, words)], stdin=stdin,
            capture_output=True, text=True, timeout=PATIENCE, env=environment(self.home))

    def verbs_that_print(self):
        """Each prints to stdout, and would end with 0."""
        server = self.serve()
        reach = ["--cacert", self.ca, *self.reach(server)]
        hello = server.url + "/hello"
        ws = server.url.replace("https", "wss") + "/ws/echo"
        yield from ([["--help"], ["--version"], ["get", "--help"], ["version"],
                     ["version", "--json"], ["cert"], ["cert", "--json"], ["handoff"],
                     ["handoff", "sudden-cut", "--carrier", "quic", "--json"],
                     ["interop", "--list"]])
        yield from ([verb, *reach, *words] for verb, *words in (
            ["get", hello], ["get", "-I", hello], ["get", "--json", hello],
            ["get", "-c", "-", "-o", "/dev/null", hello],
            ["get", "-i", "-o", "-", hello],
            ["ws", "-m", "hi", ws], ["ws", "--json", "-m", "hi", ws],
            ["wt", "-m", "hi", server.url + "/wt/echo"],
            ["wt", "--json", "-m", "hi", server.url + "/wt/echo"],
            ["interop", "--tests", "H", server.url], ["interop", "--json", "--tests", "H", server.url]))
        bench = ["bench", "--cacert", self.ca, "-n", "1", "-c", "1", "-m", "1",
                 f"https://127.0.0.1:{server.port}/hello"]
        yield from (bench, [*bench, "--json"])

    def test_what_cannot_be_printed_is_told(self):
        for words in self.verbs_that_print():
            with self.subTest(words=words):
                full = self.shell(">/dev/full", *words)
                self.assertEqual(full.returncode, 23, full.stderr)
                self.assertIn("write", full.stderr)
                self.assertIn("stdout", full.stderr)
                closed = self.shell(">&-", *words)
                self.assertEqual(closed.returncode, 23, closed.stderr)

    def test_nobody_hears_what_is_told(self):
        """A full disk, or `2>&1 | head`, which has seen enough: the run ends as it would have."""
        server = self.serve()
        reach = ["--cacert", self.ca, *self.reach(server)]
        hello = server.url + "/hello"
        closed, deaf = os.pipe()
        os.close(closed)
        self.addCleanup(os.close, deaf)
        for code, output, words in (
                (0, "hello over h3\n", ["get", HTTP3, "-v", "--stats", *reach, hello]),
                (0, "hello over h2\n", ["get", "--http2", "-v", "--stats", *reach, hello]),
                (60, "", ["get", *self.reach(server), hello]),
                (0, "hi\n", ["ws", "-v", *reach, "-m", "hi", hello.replace("https", "wss").replace("hello", "ws/echo")]),
                (0, "hi\n", ["wt", "-v", *reach, "-m", "hi", server.url + "/wt/echo"]),
                (2, "", ["call", "-v", *reach, "--schema", "google/protobuf/empty.proto", server.url + "/a.B/C"]),
                (2, "", ["nonsense"]), (2, "", ["get", "--nonsense"]), (2, "", [])):
            with self.subTest(words=words):
                full = self.shell("2>/dev/full", *words)
                self.assertEqual((full.returncode, full.stdout), (code, output))
                piped = subprocess.run([TERN, *words], stdout=subprocess.PIPE, stderr=deaf, text=True,
                                       timeout=PATIENCE, env=environment(self.home))
                self.assertEqual((piped.returncode, piped.stdout), (code, output))

    def test_no_socket_gets_the_number_of_a_closed_stream(self):
        server = self.serve()
        words = ["get", HTTP3, "--cacert", self.ca, *self.reach(server), server.url + "/hello"]
        shown = self.shell("<&-", *words)
        self.assertEqual((shown.returncode, shown.stdout), (0, "hello over h3\n"))
        quiet = self.shell("2>&-", *words)
        self.assertEqual((quiet.returncode, quiet.stdout), (0, "hello over h3\n"))
        # What is told goes nowhere, and above all not into a connection.
        told = self.shell("<&- 2>&-", *words[:1], "-v", *words[1:])
        self.assertEqual((told.returncode, told.stdout), (0, "hello over h3\n"))
        out = self.folder / "out"
        everything = self.shell("<&- >&- 2>&-", *words, "-o", out)
        self.assertEqual((everything.returncode, out.read_text()), (0, "hello over h3\n"))

    def test_a_closed_stdin_is_an_empty_one(self):
        server = self.serve()
        reach = ["--cacert", self.ca, *self.reach(server)]
        ws = server.url.replace("https", "wss") + "/ws/echo"
        for words in (["ws", ws], ["wt", server.url + "/wt/echo"],
                      ["get", "-X", "POST", "-T", "-", server.url + "/echo"],
                      ["get", "-d", "@-", server.url + "/echo"]):
            with self.subTest(words=words):
                shown = self.shell("<&-", words[0], *reach, *words[1:])
                self.assertEqual((shown.returncode, shown.stdout), (0, ""), shown.stderr)

    def test_a_server_goes_on_when_nobody_reads_its_log(self):
        for redirection in (">&-", ">/dev/full", "| head -c 1"):
            with self.subTest(redirection=redirection):
                where = f"127.0.0.1:{free_port()}"
                process = subprocess.Popen(
                    ["bash", "-c", f'exec "$0" serve --listen {where} {redirection}', TERN],
                    stdout=subprocess.DEVNULL, env=environment(self.home), start_new_session=True)
                self.addCleanup(process.wait)
                # In a pipe the server is the shell's child.
                self.addCleanup(os.killpg, process.pid, signal.SIGTERM)
                for _ in range(2):
                    fetched = self.tern("get", "-k", "--retry", "5", "--json", f"https://{where}/hello")
                    self.assertEqual(fetched.returncode, 0, fetched.stdout)

    def serve_into_pipe(self, blocks):
        """A server, its URL, and the end of the pipe that its log comes out of."""
        read, write = os.pipe()
        os.set_blocking(write, blocks)
        process = subprocess.Popen([TERN, "serve", "--log", "json", "--listen", "127.0.0.1:0"],
                                   stdout=write, env=environment(self.home))
        os.close(write)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        log = os.fdopen(read)
        self.addCleanup(log.close)
        url = json.loads(log.readline())["url"].replace("localhost", "127.0.0.1")
        self.tern("bench", "-k", "-n", "2000", "-c", "1", "-m", "10", url + "hello")
        return process, log

    def test_a_server_ends_when_nobody_reads_its_log(self):
        for blocks in (True, False):
            with self.subTest(blocks=blocks):
                process, _ = self.serve_into_pipe(blocks)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(timeout=PATIENCE), 0)

    def test_a_log_is_whole_when_it_is_read_late(self):
        for blocks in (True, False):  # another program that has the terminal, too, may have said not to
            with self.subTest(blocks=blocks):
                process, log = self.serve_into_pipe(blocks)
                process.send_signal(signal.SIGTERM)
                lines = [json.loads(line) for line in log]
                self.assertEqual(process.wait(timeout=PATIENCE), 0)
                self.assertEqual(sum(line.get("path") == "/hello" for line in lines), 2000)

    def test_stdin_that_is_no_file(self):
        """A socket, as services get it, is read like anything else; /dev/stdin could not be opened."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(b"from a socket")
            ours.shutdown(socket.SHUT_WR)
            server = self.serve()
            shown = self.shell("", "get", "--cacert", self.ca, *self.reach(server), "-d", "@-",
                               server.url + "/echo", stdin=theirs)
        self.assertEqual((shown.returncode, shown.stdout), (0, "from a socket"), shown.stderr)


class NoFileTest(TernTest):
    def test_a_folder_is_no_file(self):
        for words, code in ((["get", "-d", f"@{self.folder}", "https://x/"], 26),
                            (["get", "--json-body", f"@{self.folder}", "https://x/"], 26),
                            (["get", "-T", self.folder, "https://x/"], 26),
                            (["get", "-b", self.folder, "https://x/"], 26),
                            (["get", "--cacert", self.folder, "https://x/"], 77),
                            (["get", "--session", self.folder, "https://x/"], 2),
                            (["get", "--cert", self.folder, "--key", self.folder, "https://x/"], 58),
                            (["call", "-d", f"@{self.folder}", "https://x/a.B/C"], 26),
                            (["call", "--schema", self.folder, "https://x/a.B/C"], 2),
                            (["interop", "--endpoints", self.folder], 26),
                            (["relay", "-l", "0", "-t", "127.0.0.1:1", "--script", self.folder], 2),
                            (["serve", "--config", self.folder], 2),
                            (["serve", "--cid-key", self.folder], 2),
                            (["serve", "--client-ca", self.folder], 2)):
            with self.subTest(words=words):
                shown = self.tern(*words)
                self.assertEqual(shown.returncode, code, shown.stderr)
                self.assertEqual(shown.stderr.count("\n"), 1, shown.stderr)
                self.assertIn(str(self.folder), shown.stderr)

    def test_stdin_is_a_folder(self):
        server = self.serve()
        with subprocess.Popen([TERN, "get", "-k", HTTP3, *self.reach(server), "-X", "POST", "-T", "-", server.url + "/echo"],
                              stdin=os.open(self.folder, os.O_RDONLY), stderr=subprocess.PIPE, text=True,
                              env=environment(self.home)) as process:
            _, told = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, told), (26, "tern get: cannot read stdin: Is a directory\n"))

    def test_an_endless_file(self):
        for words, code in ((["get", "-b", "/dev/zero", "https://x/"], 26),
                            (["serve", "--config", "/dev/zero"], 2),
                            (["serve", "--cid-key", "/dev/zero"], 2),
                            (["interop", "--endpoints", "/dev/zero"], 26),
                            (["relay", "-l", "0", "-t", "127.0.0.1:1", "--script", "/dev/zero"], 2)):
            with self.subTest(words=words):
                shown = self.tern(*words)
                self.assertEqual(shown.returncode, code, shown.stderr)
                self.assertIn("/dev/zero", shown.stderr)
