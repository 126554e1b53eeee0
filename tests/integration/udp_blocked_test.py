"""The way down and up again where UDP is really dropped: a network namespace with nftables. Wants the
right to make namespaces (root, as in CI) and `nft`; without them the program says NOT RUN and ends with
77, which CTest shows as skipped."""

import os
import subprocess
import sys
import unittest

from tern_program import PATIENCE, TERN, Fetched, Server, TernTest, WatchedGet, environment


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


class Island:
    """A namespace of its own with nothing but loopback."""

    def __init__(self):
        self.name = f"tern-udp-{os.getpid()}"

    def __enter__(self):
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "-n", self.name, "link", "set", "lo", "up")
            self.nft("add table inet tern")
            self.nft("add chain inet tern in { type filter hook input priority 0; }")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    def nft(self, command):
        run("ip", "netns", "exec", self.name, "nft", command)

    def block_udp(self):
        self.nft("add rule inet tern in meta l4proto udp drop")

    def unblock_udp(self):
        self.nft("flush chain inet tern in")

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *words]


class IslandServer(Server):
    def __init__(self, island, home):
        self.island = island
        super().__init__(home)

    def command(self):
        return self.island.command(TERN)


class UdpBlockedTest(TernTest):
    def setUp(self):
        super().setUp()
        self.island = self.enterContext(Island())
        self.server = IslandServer(self.island, self.home)
        self.addCleanup(self.server.stop)

    def fetch(self, *arguments):
        done = subprocess.run(
            self.island.command(TERN, "get", "-v", "--json", "--cacert", self.ca,
                                *self.reach(self.server), *arguments),
            capture_output=True, text=True, timeout=PATIENCE, env=environment(self.home))
        return Fetched(done)

    def watch(self, *arguments, **fifo):
        watched = WatchedGet(self.island.command(TERN), self.home, "--cacert", self.ca,
                             *self.reach(self.server), *arguments, **fifo)
        self.addCleanup(watched.stop)
        return watched

    def test_down_and_up_again(self):
        for engine in self.engines():
            with self.subTest(engine=engine):
                self.assertEqual(self.fetch("--engine", engine, self.server.url + "/hello").body,
                                 "hello over h3\n")
                self.island.block_udp()
                fetched = self.fetch("--engine", engine, self.server.url + "/hello")
                self.assertEqual(fetched.body, "hello over h2\n", fetched.stderr)
                self.assertIn("trying HTTP/2 over TCP", fetched.stderr)
                fetched = self.fetch("--engine", engine, "--http3-only", "--connect-timeout", "500ms",
                                     self.server.url + "/hello")
                self.assertEqual(fetched.code, 28, "UDP is blocked indeed")
                self.island.unblock_udp()
                self.assertEqual(self.fetch("--engine", engine, self.server.url + "/hello").body,
                                 "hello over h3\n")

    def test_one_client_climbs_while_a_download_goes_on(self):
        self.island.block_udp()
        size = 60_000_000
        out = self.folder / "second"
        client = self.watch("-o", str(out), self.server.url + f"/bytes/{size}",
                            self.server.url + "/hello", fifo=self.folder / "out", rate=3_000_000)
        client.saw("< HTTP/2 200")
        self.island.unblock_udp()
        client.saw("requests go over HTTP/3 from now on")
        report = client.finish()
        self.assertEqual([t["protocol"] for t in report["transfers"]], ["h2", "h3"])
        self.assertEqual(client.received, size)
        self.assertTrue(client.intact)
        self.assertEqual(out.read_text(), "hello over h3\n")

    def test_udp_is_dropped_in_mid_download(self):
        """HTTP/3's connection falls silent. Its idle timeout ends it, and what may be repeated is, over
        HTTP/2; the next request does not try UDP first."""
        size = 400_000_000  # longer on its way than the rule takes to stand
        client = self.watch("--retry", "2",
                            "-o", str(self.folder / "big"), "-o", str(self.folder / "small"),
                            self.server.url + f"/bytes/{size}", self.server.url + "/hello")
        client.saw("< HTTP/3 200")
        self.island.block_udp()
        report = client.finish()
        first, second = report["transfers"]
        self.assertTrue(first.get("repeated"), client.story())
        self.assertIn("sending the request again", client.story())
        self.assertEqual(first["protocol"], "h2")
        self.assertEqual(second["protocol"], "h2")
        self.assert_pattern(self.folder / "big", size)
        self.assertEqual((self.folder / "small").read_text(), "hello over h2\n")


if __name__ == "__main__":
    try:
        with Island():
            pass
    except (OSError, subprocess.CalledProcessError) as problem:
        detail = getattr(problem, "stderr", None) or problem
        print(f"NOT RUN: this test makes a network namespace with nftables, and cannot: {detail}",
              flush=True)
        sys.exit(77)
    unittest.main(verbosity=2)
