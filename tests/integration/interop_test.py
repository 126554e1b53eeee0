"""`tern interop URL…` against `tern serve`: cases, outputs, exit codes."""

import json
import re
import signal
import socket
import subprocess

from tern_program import TERN, TernTest, environment

ORDER = "VHCSQ2cGD3dTRZUMBAFEgXW"


class InteropTest(TernTest):
    def interop(self, *arguments, **options):
        return self.tern("interop", *arguments, **options)

    def report(self, *arguments, code=0):
        finished = self.interop("--json", *arguments)
        self.assertEqual(finished.returncode, code, finished.stderr + finished.stdout)
        report = json.loads(finished.stdout)
        self.assertEqual(report["exit_code"], code)
        return report

    def outcomes(self, endpoint):
        return {one["letter"]: one["outcome"] for one in endpoint["cases"]}


class MatrixTest(InteropTest):
    def test_everything_that_tern_serve_does(self):
        server = self.serve()
        [endpoint] = self.report("--cacert", self.ca, "--throughput-path", "/bytes/{size}",
                                 f"https://127.0.0.1:{server.port}/hello")["endpoints"]
        expected = {letter: "pass" for letter in ORDER}
        expected.update({letter: "unsupported" for letter in "SF"})
        self.assertEqual(self.outcomes(endpoint), expected, endpoint)
        self.assertEqual(endpoint["letters"], "VHC-Q2cGD3dTRZUMBA-EgXW")
        self.assertTrue(endpoint["reachable"] and endpoint["mandatory_passed"])
        self.assertEqual(endpoint["address"], f"127.0.0.1:{server.port}")
        by_name = {one["name"]: one for one in endpoint["cases"]}
        self.assertEqual(by_name["throughput"]["evidence"]["bytes"], "5000000")
        self.assertEqual(by_name["resumption"]["connections"], 2)
        self.assertEqual(by_name["version-negotiation"]["connections"], 0)

    def test_retry(self):
        server = self.serve("--retry")
        [endpoint] = self.report("-k", "--tests", "SRB",
                                 f"https://127.0.0.1:{server.port}/hello")["endpoints"]
        self.assertEqual(endpoint["letters"], "SRB")

    def test_tests_by_letters_and_names(self):
        server = self.serve()
        url = f"https://127.0.0.1:{server.port}/hello"
        for tests in ("D3H", "stream-data,3,handshake", "D,3,H"):
            [endpoint] = self.report("-k", "--tests", tests, url)["endpoints"]
            self.assertEqual(endpoint["letters"], "HD3", tests)

    def test_two_endpoints_from_a_file(self):
        server = self.serve()
        file = self.folder / "endpoints.json"
        file.write_text(json.dumps({"endpoints": [
            {"name": "one", "url": f"https://127.0.0.1:{server.port}/hello", "insecure": True},
            {"name": "nobody", "url": "https://nothing.invalid/"}]}))
        report = self.report("--endpoints", file, "--tests", "HT", code=1)
        one, nobody = report["endpoints"]
        self.assertEqual(self.outcomes(one), {"H": "pass", "T": "not applicable"})
        self.assertFalse(nobody["reachable"])
        self.assertEqual(self.outcomes(nobody), {"H": "not run", "T": "not run"})
        table = self.interop("--endpoints", file, "--tests", "HT").stdout
        self.assertRegex(table, r"(?m)^one +H +·$")
        self.assertRegex(table, r"(?m)^nobody +· +· +.*nothing\.invalid")

    def test_where_nobody_is_the_table_is_short(self):
        """What was tried, what all the others wait for in one line, and a count."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        told = self.interop(f"https://127.0.0.1:{port}/")
        self.assertEqual(told.returncode, 7, told.stdout)
        self.assertRegex(told.stdout, r"(?m)^  H Handshake \* +fail .*nobody listens")
        self.assertNotRegex(told.stdout, r"(?m)^  [D3W] ")
        self.assertIn("2 failed, 21 not run", told.stdout)
        page = self.folder / "page.html"
        self.interop("--html", page, f"https://127.0.0.1:{port}/")
        self.assertEqual(page.read_text().count('class="letter"'), 2)
        told = self.interop("--tests", "D3", f"https://127.0.0.1:{port}/")
        self.assertRegex(told.stdout, r"(?m)^  no connection: .*nobody listens")
        self.assertNotIn("\n\n\n", told.stdout)

    def test_page(self):
        server = self.serve()
        page = self.folder / "page.html"
        finished = self.interop("-k", "--html", page, "--tests", "HCd",
                                f"https://127.0.0.1:{server.port}/%3Cb%3E?a=%22x")
        self.assertEqual(finished.returncode, 0, finished.stderr)
        text = page.read_text()
        self.assertTrue(text.startswith("<!doctype html>") and text.endswith("</html>\n"))
        self.assertEqual(text.count('class="cell pass" title='), 3, finished.stdout)
        # One file, no scripts, nothing fetched.
        self.assertNotRegex(text, r"<script|<link|src=|@import|url\(")
        for tag in ("table", "tr", "td", "ul", "li", "details", "span"):
            self.assertEqual(len(re.findall(rf"<{tag}\b", text)), text.count(f"</{tag}>"), tag)

    def test_list_contacts_nobody(self):
        finished = self.interop("--list")
        self.assertEqual(finished.returncode, 0)
        letters = re.findall(r"(?m)^(\S) [a-z0-9-]+ ", finished.stdout)
        self.assertEqual("".join(letters), ORDER)


class ExitCodeTest(InteropTest):
    def assert_code(self, finished, code, *parts):
        self.assertEqual(finished.returncode, code, finished.stdout + finished.stderr)
        for part in parts:
            self.assertIn(part, finished.stdout + finished.stderr)

    def test_usage(self):
        for words in (["--tests", "H?", "https://x/"], ["--tests", "", "https://x/"],
                      ["--timeout", "soon", "https://x/"], ["--timeout", "0", "https://x/"],
                      ["--throughput-path", "/5mb", "https://x/"],
                      ["--retry-url", "https://y/", "https://x/"],
                      ["--retry-url", "https://x:1/", "https://x/", "https://z/"],
                      ["--resolve", "nonsense", "https://x/"],
                      ["--endpoints", "/dev/null"], ["--hq"],
                      ["--endpoints", "/dev/null", "https://x/"], ["--nonsense"]):
            with self.subTest(words=words):
                finished = self.interop(*words)
                self.assert_code(finished, 2)
                self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
        self.assert_code(self.interop("--endpoints", self.folder / "none.json"), 26)
        for url in ("http://x/", "https://", "ftp://x/"):
            with self.subTest(url=url):
                self.assert_code(self.interop(url), 3)

    def test_one_that_cannot_be_reached(self):
        self.assert_code(self.interop("--tests", "HD", "https://nothing.invalid/"), 6)
        closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        self.assert_code(self.interop("-k", "--tests", "VHD", f"https://127.0.0.1:{port}/"), 7,
                         "nobody listens")
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        self.assert_code(self.interop("-k", "--tests", "VHD", "--timeout", "300ms",
                                      f"https://127.0.0.1:{silent.getsockname()[1]}/"), 28)

    def test_untrusted_and_another_protocol(self):
        server = self.serve()
        url = f"https://127.0.0.1:{server.port}/hello"
        self.assert_code(self.interop("--tests", "HD", url), 60)
        self.assert_code(self.interop("-k", "--hq", "--tests", "HD", url), 35,
                         "no_application_protocol")

    def test_a_page_that_cannot_be_written(self):
        """It says so before it asks anybody anything."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
            for file, code in (("/nonexistent/page.html", 23), ("", 2)):
                finished = self.interop("-k", "--tests", "H", "--html", file, url)
                self.assert_code(finished, code, "--html")
                self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
                self.assertEqual(finished.stdout, "")
            silent.setblocking(False)
            with self.assertRaises(BlockingIOError):
                silent.recv(2048)

    def test_interrupted(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        process = subprocess.Popen(
            [TERN, "interop", "-k", f"https://127.0.0.1:{silent.getsockname()[1]}/"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(self.home))
        silent.recv(2048)  # it is under way
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, out + err)
        self.assertIn("interrupted", err)
