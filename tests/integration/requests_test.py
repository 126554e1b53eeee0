"""Cookies, repetitions and codings of `tern get`, against Python's HTTP server."""

import gzip
import http.cookiejar
import http.server
import json
import os
import stat
import threading
import time

from tern_program import Fetched, TernTest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", fields=()):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        seen = self.server.seen
        seen.append((time.monotonic(), self.command, self.path, self.headers.get("cookie")))
        times = sum(path == self.path for _, _, path, _ in seen)
        if self.path == "/set":
            later = "Expires=Thu, 31 Dec 2099 23:59:59 GMT"
            self.answer(302, fields=[("location", "/show"), ("set-cookie", f"a=1; {later}"),
                                     ("set-cookie", "b=2; Path=/deeper"),
                                     ("set-cookie", "c=3; HttpOnly")])
        elif self.path == "/busy" and times < 3:
            self.answer(503, b"busy", [("retry-after", "1")] if times == 1 else [])
        elif self.path == "/never":
            self.answer(503, b"busy", [("retry-after", "3600")])
        elif self.path == "/cut" and times == 1:
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif self.path.startswith("/told"):
            # Bodies come by content-length or in chunks, and are left where they are but for their size.
            length = self.headers.get("content-length")
            self.close_connection = True
            self.answer(200, json.dumps({"method": self.command, "path": self.path, "length": length,
                                         "fields": [[n.lower(), v] for n, v in self.headers.items()]}).encode())
        elif self.path == "/gzip":
            self.answer(200, gzip.compress(b"x" * 1_000_000), [("content-encoding", "gzip")])
        elif self.path == "/asked":
            said = (self.command, *(self.headers.get(name, "none") for name in
                                    ("user-agent", "content-type", "content-length")))
            self.answer(200, " ".join(said).encode())
        else:
            self.answer(200, (self.headers.get("cookie") or "none").encode())

    do_POST = do_PUT = do_GET


class Site(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class RequestsTest(TernTest):
    def setUp(self):
        super().setUp()
        self.site = Site(("127.0.0.1", 0), Handler)
        self.site.seen = []
        thread = threading.Thread(target=self.site.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(self.site.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.site.shutdown)
        self.url = f"http://127.0.0.1:{self.site.server_port}"

    def fetch(self, *words):
        return Fetched(self.tern("get", "--json", "-v", *words))

    def test_cookies_only_when_asked_for(self):
        self.assertEqual(self.fetch("-L", self.url + "/set").body, "none")
        jar = self.folder / "jar.txt"
        self.assertEqual(self.fetch("-L", "-c", jar, self.url + "/set").body, "a=1; c=3")
        self.assertEqual(stat.S_IMODE(os.stat(jar).st_mode), 0o600)
        # Another program reads the file; to this one a time of 0, as curl writes it for those that end
        # with the session, is long ago.
        read = http.cookiejar.MozillaCookieJar(str(jar))
        read.load(ignore_discard=True)
        self.assertEqual({(c.name, c.value, c.path, c.domain) for c in read},
                         {("a", "1", "/", "127.0.0.1")})
        self.assertEqual(self.fetch("-b", jar, self.url + "/show").body, "a=1; c=3")
        self.assertEqual(self.fetch("-b", jar, self.url + "/deeper/show").body,
                         "b=2; a=1; c=3")
        self.assertEqual(self.fetch("-b", "x=y; z=w", self.url + "/show").body, "x=y; z=w")
        self.assertEqual(self.fetch("-b", "x=y", "-b", jar, self.url + "/show").body,
                         "x=y; a=1; c=3")
        printed = self.tern("get", "-c", "-", "-o", "/dev/null", self.url + "/set").stdout
        self.assertIn("#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tc\t3\n", printed)

    def test_empty_words_are_not_passed_over(self):
        self.assertEqual(self.fetch("-A", "", self.url + "/asked").body, "GET none none none")
        self.assertEqual(self.fetch("-A", "x", self.url + "/asked").body, "GET x none none")
        self.assertEqual(self.fetch("-A", "x", "--json-body", "", self.url + "/asked").body,
                         "POST x application/json 0")
        self.assertEqual(self.fetch("-A", "x", "-d", "", self.url + "/asked").body,
                         "POST x application/x-www-form-urlencoded 0")

    def test_another_programs_file(self):
        jar = self.folder / "jar.txt"
        made = http.cookiejar.MozillaCookieJar(str(jar))
        made.set_cookie(http.cookiejar.Cookie(
            0, "made", "elsewhere", None, False, "127.0.0.1", False, False, "/", True, False,
            4_000_000_000, False, None, None, {}))
        made.save()
        self.assertEqual(self.fetch("-b", jar, self.url + "/show").body, "made=elsewhere")
        for words, code in ((["-b", self.folder / "none.txt"], 26), (["-b", __file__], 26),
                            (["-c", "/nonexistent/jar"], 23), (["-c", "-", "--json"], 2)):
            finished = self.tern("get", *words, self.url + "/show")
            self.assertEqual(finished.returncode, code, finished.stderr)

    def test_retry(self):
        fetched = self.fetch("--retry", "3", self.url + "/busy")
        self.assertEqual(fetched.transfer["status"], 200, fetched.stderr)
        self.assertTrue(fetched.transfer["repeated"])
        self.assertEqual(len(self.site.seen), 3)
        self.assertGreaterEqual(self.site.seen[1][0] - self.site.seen[0][0], 1.0)
        self.assertEqual(fetched.stderr.count("* sending the request again: GET"), 2)
        self.assertIn("status 503", fetched.stderr)

    def test_not_without_it_nor_forever(self):
        self.assertEqual(self.fetch(self.url + "/busy").transfer["status"], 503)
        self.site.seen.clear()
        self.assertEqual(self.fetch("--retry", "3", self.url + "/never").transfer["status"], 503)
        self.assertEqual(len(self.site.seen), 1, "an hour is too long")
        self.site.seen.clear()
        self.assertEqual(self.fetch("--retry", "1", self.url + "/busy").transfer["status"], 503)
        self.assertEqual(len(self.site.seen), 2)
        self.site.seen.clear()
        fetched = self.fetch("--retry", "3", "-d", "x", self.url + "/busy")
        self.assertEqual(fetched.transfer["status"], 503)
        self.assertEqual(len(self.site.seen), 1, "a POST may have been worked on")

    def test_a_connection_that_breaks(self):
        self.assertEqual(self.fetch(self.url + "/cut").code, 18)
        for flag in (["--retry", "2"], ["--retry-on-close"]):
            with self.subTest(flag=flag):
                self.site.seen.clear()
                out = self.folder / "out"
                fetched = self.fetch(*flag, "-o", out, self.url + "/cut")
                self.assertEqual(fetched.code, 0, fetched.stderr)
                self.assertEqual(out.read_text(), "none", "nothing of the first half is left")

    def test_compressed(self):
        fetched = self.fetch("--compressed", "-o", self.folder / "out", self.url + "/gzip")
        self.assertEqual(fetched.code, 0, fetched.stderr)
        self.assertEqual((self.folder / "out").read_bytes(), b"x" * 1_000_000)
        self.assertLess(fetched.transfer["received_bytes"], 10_000)

    # ---- what curl's flags mean

    def told(self, *words, path="/told"):
        """What the server saw of the request, and its fields by name."""
        fetched = self.fetch(*words, self.url + path)
        self.assertEqual(fetched.code, 0, fetched.stderr + str(fetched.report))
        told = json.loads(fetched.body)
        return told, dict(told["fields"])

    def test_fields_as_in_curl(self):
        file = self.folder / "fields"
        file.write_text("X-One: 1\r\n\nx-two:2\naccept:\n")
        fields = self.told("-H", f"@{file}", "-H", "x-none;")[1]
        self.assertEqual([fields.get(name) for name in ("x-one", "x-two", "x-none", "accept")], ["1", "2", "", None])
        self.assertEqual(self.tern("get", "-H", "@/nonexistent", self.url).returncode, 26)

    def test_host_is_said_once(self):
        shown = self.tern("get", "-v", "-H", "Host: other.test", self.url + "/told")
        self.assertIn(["host", "other.test"], json.loads(shown.stdout)["fields"])
        self.assertEqual([line for line in shown.stderr.splitlines() if line.startswith("> host:")], ["> host: other.test"])

    def test_credentials_in_the_url(self):
        at = self.url.replace("//", "//us%65r:pass%3Aw@")
        for words, sent in (([], "Basic dXNlcjpwYXNzOnc="), (["-u", "a:b"], "Basic YTpi"),
                            (["-H", "authorization: Bearer x"], "Bearer x")):
            fetched = self.fetch(*words, at + "/told")
            self.assertEqual(dict(json.loads(fetched.body)["fields"])["authorization"], sent)
            self.assertEqual(fetched.transfer["url"], self.url + "/told", "a password is not repeated")
        only = self.fetch(self.url.replace("//", "//user@") + "/told")
        self.assertEqual(dict(json.loads(only.body)["fields"])["authorization"], "Basic dXNlcjo=")

    def test_upload_into_a_folder(self):
        file = self.folder / "a b#c.txt"
        file.write_text("abc")
        for path, sent in (("/told/", "/told/a%20b%23c.txt"), ("/told/?x=1", "/told/a%20b%23c.txt?x=1"),
                           ("/told/other", "/told/other")):
            told, _ = self.told("-T", file, path=path)
            self.assertEqual((told["method"], told["path"], told["length"]), ("PUT", sent, "3"))
        told, _ = self.told("-T", "/proc/version")  # which says that it has no bytes
        self.assertIsNone(told["length"])

    def test_resolve_as_in_curl(self):
        port = self.site.server_port
        for entry in (f"ANY.test:{port}:127.0.0.1", f"*:{port}:127.0.0.1", f"+any.test:{port}:[127.0.0.1]",
                      f"any.test:{port}:127.0.0.2,127.0.0.1"):
            with self.subTest(entry=entry):
                fetched = self.fetch("--resolve", entry, "--connect-timeout", "0", f"http://Any.TEST:{port}/show")
                self.assertEqual(fetched.code, 0, fetched.report)
        for entry in (f"any.test:{port}:", f"any.test:{port}:127.0.0.1,", f"any.test:{port}:,127.0.0.1", f"any.test:{port}"):
            self.assertEqual(self.tern("get", "--resolve", entry, self.url).returncode, 2, entry)
