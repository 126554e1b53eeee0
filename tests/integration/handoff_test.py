"""`tern handoff`: scenarios in virtual time, from the command line."""

import html.parser
import json
import pathlib
import tempfile
import xml.etree.ElementTree

from tern_program import TernTest


class Links(html.parser.HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]


class HandoffTest(TernTest):
    def run_json(self, *words, code=0):
        finished = self.tern("handoff", *words, "--json")
        self.assertEqual(finished.returncode, code, finished.stderr)
        return json.loads(finished.stdout)

    def test_list(self):
        listed = self.run_json()
        names = [scenario["name"] for scenario in listed["scenarios"]]
        self.assertIn("sudden-cut", names)
        self.assertGreaterEqual(len(names), 12)
        text = self.tern("handoff").stdout
        for name in names:
            self.assertIn(name, text)

    def test_one_run_can_be_seen_again(self):
        first = self.run_json("sudden-cut", "--seed", "17")
        again = self.run_json("sudden-cut", "--seed", "17")
        self.assertEqual(first, again)
        self.assertTrue(first["passed"])
        by_name = {one["name"]: one for one in first["scenarios"][0]["carriers"]}
        self.assertEqual(by_name["quic"]["figures"]["handshakes"], 1)
        self.assertEqual(by_name["quic"]["figures"]["failed"], 0)
        self.assertEqual(by_name["quic-reconnect"]["figures"]["handshakes"], 2)
        self.assertEqual(by_name["quic"]["violations"], [])

    def test_many_seeds(self):
        found = self.run_json("lift", "--seeds", "5", "--seed", "3", "--carrier", "quic")
        (carrier,) = found["scenarios"][0]["carriers"]
        stall = carrier["distribution"]["stall_s"]
        self.assertLessEqual(stall["p50"], stall["p99"])
        self.assertGreater(stall["p50"], 2)
        self.assertIn(stall["worst_seed"], range(3, 8))
        alone = self.run_json("lift", "--seed", str(stall["worst_seed"]), "--carrier", "quic")
        self.assertEqual(alone["scenarios"][0]["carriers"][0]["figures"]["stall_s"], stall["worst"])

    def test_bounds(self):
        found = self.run_json("sudden-cut", "--seeds", "5", "--carrier", "quic", "--bounds")
        (carrier,) = found["scenarios"][0]["carriers"]
        bound = carrier["bound"]
        self.assertEqual(bound["promise"], "1 PTO + 2 RTT of the new path")
        self.assertEqual(bound["seeds"], 5)
        self.assertTrue(bound["held"])
        self.assertLessEqual(bound["stall_s"]["worst"], bound["allowed_s"]["worst"])
        text = self.tern("handoff", "sudden-cut", "--seeds", "5", "--carrier", "quic").stdout
        self.assertIn("1 PTO + 2 RTT of the new path: held", text)
        # Nothing is promised of the others, nor where there is no other network.
        other = self.run_json("sudden-cut", "--carrier", "quic-reconnect", "--bounds")
        self.assertNotIn("bound", other["scenarios"][0]["carriers"][0])
        lift = self.run_json("lift", "--carrier", "quic", "--bounds")
        self.assertNotIn("bound", lift["scenarios"][0]["carriers"][0])

    def test_streams_one_by_one(self):
        found = self.run_json("live-streams", "--seeds", "2")
        by_name = {one["name"]: one for one in found["scenarios"][0]["carriers"]}
        self.assertEqual(by_name["quic"]["streams"]["count"], 200)
        self.assertEqual(by_name["quic"]["streams"]["held_up"], 0)
        self.assertEqual(by_name["quic"]["streams"]["held_up_s"]["worst"], 0)
        for tcp in ("tcp-reconnect", "http2"):
            self.assertGreater(by_name[tcp]["streams"]["held_up"], 20)
            self.assertGreater(by_name[tcp]["streams"]["longest_held_up_s"]["worst"], 0.01)
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "page.html")
            text = self.tern("handoff", "live-streams", "--html", str(page)).stdout
            self.assertIn("0 of 100 held up by others' losses", text)
            self.assertIn("Each stream", page.read_text())
            self.assertEqual(page.read_text().count("<svg"), 5)
        # Elsewhere streams are not told apart.
        other = self.run_json("lift", "--carrier", "quic")
        self.assertNotIn("streams", other["scenarios"][0]["carriers"][0])

    def test_page_and_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "page.html")
            picture = pathlib.Path(folder, "picture.svg")
            finished = self.tern("handoff", "make-before-break", "--html", str(page), "--svg",
                                 str(picture))
            self.assertEqual(finished.returncode, 0, finished.stderr)
            links = Links()
            links.feed(page.read_text())
            self.assertEqual(links.found, [], "it needs nothing else")
            self.assertEqual(page.read_text().count("<svg"), 3)
            root = xml.etree.ElementTree.parse(picture).getroot()
            self.assertTrue(root.tag.endswith("svg"))

    def test_the_environment_has_its_say(self):
        qlog, keys = self.folder / "qlog", self.folder / "keys"
        told = {"QLOGDIR": str(qlog), "SSLKEYLOGFILE": str(keys)}
        finished = self.tern("handoff", "lift", "--carrier", "quic", env=told)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertTrue(list(qlog.iterdir()))
        self.assertIn("CLIENT_TRAFFIC_SECRET_0 ", keys.read_text())

    def test_qlog(self):
        with tempfile.TemporaryDirectory() as folder:
            finished = self.tern("handoff", "lift", "--carrier", "quic", "--qlog", folder)
            self.assertEqual(finished.returncode, 0, finished.stderr)
            files = sorted(path.name for path in pathlib.Path(folder).iterdir())
            # The connection, and perhaps an attempt that lost the race for the first answer.
            names = {name.rsplit("_", 1)[0] for name in files}
            both = [f"{name}_{side}.sqlog" for name in names for side in ("client", "server")]
            self.assertEqual(files, sorted(both))
            self.assertIn(len(names), (1, 2), files)

    def test_usage(self):
        for words in (["nonsense"], ["sudden-cut", "--carrier", "pigeon"], ["--html", "x.html"],
                      ["--svg", "x.svg", "--seeds", "2"], ["lift", "--seeds", "2", "--qlog", "x"],
                      ["lift", "--seeds", "0"], ["lift", "--svg", ""], ["lift", "--html", ""],
                      ["lift", "--seed", str(2**64 - 1), "--seeds", "2"]):
            with self.subTest(words=words):
                finished = self.tern("handoff", *words)
                self.assertEqual(finished.returncode, 2, finished.stderr)
                self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)

    def test_a_file_that_cannot_be_written(self):
        finished = self.tern("handoff", "lift", "--svg", "/nonexistent/x.svg")
        self.assertEqual(finished.returncode, 23, finished.stderr)
        # It says so before it runs for hours.
        finished = self.tern("handoff", "--seeds", "1000000", "--html", "/nonexistent/x.html")
        self.assertEqual(finished.returncode, 23, finished.stderr)
        self.assertEqual(finished.stdout, "")
