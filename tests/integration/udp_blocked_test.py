"""The way down and up again where UDP is really dropped: a network namespace with nftables. Wants the
right to make namespaces (root, as in CI) and `nft`; without them the program says NOT RUN and ends with
77, which CTest shows as skipped."""

import json
import os
import pathlib
import subprocess
import time
import unittest

from tern_program import (PATIENCE, TERN, Fetched, Server, TernTest, WatchedGet, environment,
                          run_where_possible)

EXAMPLES = pathlib.Path(os.environ["EXAMPLES"])


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


class IslandTest(TernTest):
    def setUp(self):
        super().setUp()
        self.island = self.enterContext(Island())

    def run_there(self, *words, **options):
        return subprocess.run(self.island.command(*map(str, words)), capture_output=True, text=True,
                              timeout=PATIENCE, env=environment(self.home), **options)


    def assert_climbs(self, talk, wanted):
        """On a machine that is busy enough, TCP may be there first."""
        for _ in range(20):
            said = talk()
            if said == wanted:
                return
        self.assertEqual(said, wanted)


class UdpBlockedTest(IslandTest):
    def setUp(self):
        super().setUp()
        self.server = IslandServer(self.island, self.home)
        self.addCleanup(self.server.stop)

    def fetch(self, *arguments):
        return Fetched(self.run_there(TERN, "get", "-v", "--json", "--cacert", self.ca,
                                      *self.reach(self.server), *arguments))

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

    def test_the_client_examples(self):
        def client():
            done = self.run_there(EXAMPLES / "client", self.ca, self.server.url + "/hello",
                                  self.server.url + "/bytes/300000")
            self.assertEqual(done.returncode, 0, done.stderr)
            return sorted(line.split(" in ")[0].rsplit("/", 1)[1] for line in done.stdout.splitlines())

        def streaming_client():
            done = self.run_there(EXAMPLES / "streaming_client", self.ca, self.server.url + "/bytes/20000000")
            self.assertEqual(done.returncode, 0, done.stderr)
            *connections, received = done.stdout.splitlines()  # over TCP, and perhaps UDP's beside it
            self.assertEqual(received, "20000000 bytes")
            return sum(int(line.rsplit(": ", 1)[1].split()[0]) for line in connections)

        self.island.block_udp()
        self.assertEqual(client(), ["300000: 200, 300000 bytes over h2", "hello: 200, 14 bytes over h2"])
        self.assertEqual(streaming_client(), 0, "there is nothing that migrates")
        self.island.unblock_udp()
        self.assert_climbs(client, ["300000: 200, 300000 bytes over h3", "hello: 200, 14 bytes over h3"])
        self.assert_climbs(streaming_client, 1)


class ExampleServersTest(IslandTest):
    """The servers of examples/ as they are: each on its port of the namespace, with one command that talks to it."""

    def setUp(self):
        super().setUp()
        made = self.run_there(TERN, "cert")
        self.assertEqual(made.returncode, 0, made.stderr)

    def start(self, example):
        folder = self.home / "tern"
        process = subprocess.Popen(
            self.island.command(str(EXAMPLES / example), str(folder / "cert.pem"), str(folder / "key.pem")),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(self.home))

        def stop():
            process.terminate()
            process.communicate(timeout=PATIENCE)
        self.addCleanup(stop)
        listening = self.island.command("ss", "-Hltn", "sport = :4433")
        end = time.monotonic() + PATIENCE
        while not subprocess.run(listening, capture_output=True, check=True).stdout:
            self.assertIsNone(process.poll(), example)
            self.assertLess(time.monotonic(), end, example)
            time.sleep(0.02)

    def say(self, verb, *arguments, **options):
        done = self.run_there(TERN, verb, "--json", "--cacert", self.ca,
                              "--resolve", "localhost:4433:127.0.0.1", *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def down_and_up(self, example, talk, carriers=("h2", "h3")):
        self.start(example)
        self.island.block_udp()
        self.assertEqual(talk(), carriers[0])
        self.island.unblock_udp()
        self.assert_climbs(talk, carriers[1])

    def test_hello_server(self):
        def talk():
            transfer = self.say("get", "https://localhost:4433/hello")["transfers"][0]
            self.assertEqual(transfer["body"], f"hello over {transfer['protocol']}\n")
            return transfer["protocol"]
        self.down_and_up("hello_server", talk)

    def test_echo_server(self):
        body = self.folder / "body"
        body.write_bytes(bytes(range(256)) * 4000)
        back = self.folder / "back"

        def talk():
            report = self.say("get", "-X", "POST", "-T", body, "-o", back, "https://localhost:4433/")
            self.assertEqual(back.read_bytes(), body.read_bytes())
            return report["transfers"][0]["protocol"]
        self.down_and_up("echo_server", talk)

    def test_websocket(self):
        def talk():
            return self.say("ws", "--message", "anybody?", "wss://localhost:4433/chat")["carrier"]
        self.down_and_up("websocket", talk)

    def test_greeter_server(self):
        def talk():
            report = self.say("call", "-d", '{"name":"you"}',
                              "https://localhost:4433/greeter.v1.Greeter/SayHello")
            self.assertEqual(report["status"]["name"], "OK")
            return report["wire"]
        self.down_and_up("greeter_server", talk)

    def test_chat(self):
        def talk():
            page = self.say("get", "https://localhost:4433/chat/")["transfers"][0]
            self.assertEqual(page["status"], 200)
            return page["protocol"]
        self.down_and_up("chat/chat", talk)


if __name__ == "__main__":
    run_where_possible(Island)
