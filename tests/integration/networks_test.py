"""A client that follows the network, over real interfaces: two network namespaces and two veth pairs
between them. Wants the right to make namespaces (root, as in CI); without it the program says NOT RUN
and ends with 77, which CTest shows as skipped."""

import os
import subprocess
import unittest

from tern_program import HTTP3, TERN, Server, TernTest, WatchedGet, run_where_possible

SERVER_ADDRESS = "10.99.0.1"
PREFERRED_ADDRESS = "10.99.0.2"
SIZE = 80_000_000
RATE = 4_000_000  # a second, until everything has happened that is to happen during the download


def ip(*arguments, namespace=None):
    command = ["ip", *(["-n", namespace] if namespace else []), *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)


class Phone:
    """A namespace with wifi0 (metric 600) and wwan0 (metric 700), and a server's behind both."""

    NETWORKS = {"wifi0": (1, 600), "wwan0": (2, 700)}

    def __init__(self):
        self.client = f"tern-phone-{os.getpid()}"
        self.server = f"tern-server-{os.getpid()}"

    def __enter__(self):
        try:
            for namespace in (self.client, self.server):
                ip("netns", "add", namespace)
                ip("link", "set", "lo", "up", namespace=namespace)
            for address in (SERVER_ADDRESS, PREFERRED_ADDRESS):
                ip("addr", "add", f"{address}/32", "dev", "lo", namespace=self.server)
            for name, (number, _) in self.NETWORKS.items():
                ip("link", "add", name, "netns", self.client, "type", "veth",
                   "peer", "name", f"to-{name}", "netns", self.server)
                ip("addr", "add", f"10.77.{number}.1/24", "dev", f"to-{name}",
                   namespace=self.server)
                ip("link", "set", f"to-{name}", "up", namespace=self.server)
                self.connect(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for namespace in (self.client, self.server):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)

    def connect(self, name):
        ip("link", "set", name, "up", namespace=self.client)
        self.give_address(name)

    def give_address(self, name):
        number, _ = self.NETWORKS[name]
        ip("addr", "replace", f"10.77.{number}.2/24", "dev", name, namespace=self.client)
        self.add_route(name)

    def _route(self, verb, name):
        number, metric = self.NETWORKS[name]
        ip("route", verb, "default", "via", f"10.77.{number}.1", "dev", name,
           "metric", str(metric), namespace=self.client)

    def add_route(self, name):
        self._route("replace", name)

    def withdraw_route(self, name):
        self._route("del", name)

    def switch_off(self, name):
        ip("link", "set", name, "down", namespace=self.client)

    def take_address(self, name):
        number, _ = self.NETWORKS[name]
        ip("addr", "del", f"10.77.{number}.2/24", "dev", name, namespace=self.client)

    def silence(self, name):
        """Nothing comes from the server any more, and nobody is told."""
        number, _ = self.NETWORKS[name]
        ip("route", "add", "blackhole", f"10.77.{number}.2/32", namespace=self.server)


class NamespaceServer(Server):
    """`tern serve` inside a namespace."""

    def __init__(self, namespace, home, *arguments):
        self.namespace = namespace
        super().__init__(home, *arguments, listen=f"{SERVER_ADDRESS}:0")

    def command(self):
        return ["ip", "netns", "exec", self.namespace, TERN]


class HandoffTest(TernTest):
    def run_with(self, act, *arguments, serving=()):
        """Downloads while `act(phone, download)` disturbs; the connection must be one, the body whole."""
        with Phone() as phone:
            server = NamespaceServer(phone.server, self.home, *serving)
            try:
                url = f"https://localhost:{server.port}/bytes/{SIZE}"
                download = WatchedGet(
                    ["ip", "netns", "exec", phone.client, TERN], self.home, HTTP3, "--cacert", self.ca,
                    "--resolve", f"localhost:{server.port}:{SERVER_ADDRESS}", *arguments, url,
                    fifo=self.folder / "out", rate=RATE)
                try:
                    act(phone, download)
                    report = download.finish()
                finally:
                    download.stop()
                self.assertTrue(download.intact)
                self.assertEqual(download.received, SIZE)
                self.assertNotIn("repeated", report["transfers"][0])
                self.assertEqual(len(report["connections"]), 1, report["connections"])
                self.assertEqual(server.counters()["quic.connections_accepted"], 1)
                return report["connections"][0], download.story()
            finally:
                server.stop()

    def moves_to_cellular(self, act):
        def disturb(phone, download):
            download.saw("spare path: wwan0")
            act(phone)
            lost = download.saw("path lost: ")
            moved = download.saw("migrating to wwan0", lost)
            download.saw("path changed: 10.77.2.2:", moved)
        for engine in self.engines():
            with self.subTest(engine=engine):
                connection, _ = self.run_with(disturb, "--engine", engine)
                self.assertEqual(connection["local"].split(":")[0], "10.77.2.2", connection)
                self.assertEqual(connection["migrations"], 1)

    def test_wifi_is_switched_off(self):
        self.moves_to_cellular(lambda phone: phone.switch_off("wifi0"))

    def test_the_address_is_taken_away(self):
        self.moves_to_cellular(lambda phone: phone.take_address("wifi0"))

    def test_the_path_falls_silent(self):
        self.moves_to_cellular(lambda phone: phone.silence("wifi0"))

    def test_wifi_is_back(self):
        def disturb(phone, download):
            download.saw("spare path: wwan0")
            phone.switch_off("wifi0")
            moved = download.saw("path changed: 10.77.2.2:")
            phone.connect("wifi0")
            ready = download.saw("spare path: wifi0", moved)
            # Three seconds later, when it has proved stable; validated first.
            back = download.saw("migrating to wifi0", ready)
            download.saw("path changed: 10.77.1.2:", back)
        connection, _ = self.run_with(disturb)
        self.assertEqual(connection["local"].split(":")[0], "10.77.1.2", connection)
        self.assertGreaterEqual(connection["migrations"], 2)  # a machine that stalls is silence, too: the simulator counts

    def test_it_keeps_to_the_preferred_address(self):
        """RFC 9000 §9.6: once moved there, later migrations lead there, too."""
        preferred = f"{PREFERRED_ADDRESS}:4434"

        def disturb(phone, download):
            there = download.saw(f"→ {preferred}")
            download.saw("spare path: wwan0")
            phone.switch_off("wifi0")
            moved = download.saw("path changed: 10.77.2.2:", there)
            phone.connect("wifi0")
            back = download.saw("path changed: 10.77.1.2:", moved)
            phone.silence("wifi0")
            download.saw("path changed: 10.77.2.2:", back)
        connection, story = self.run_with(disturb, serving=("--preferred-address", preferred))
        self.assertEqual(connection["remote"], preferred)
        self.assertGreaterEqual(connection["migrations"], 4, story)
        self.assertNotIn(f"→ {SERVER_ADDRESS}", story.split(f"→ {preferred}", 1)[1])

    def test_networks_that_come_and_go(self):
        """Each is taken away in its own way, and the connection is the same."""
        def disturb(phone, download):
            download.saw("spare path: wwan0")
            phone.withdraw_route("wifi0")
            away = download.saw("path changed: 10.77.2.2:")
            phone.add_route("wifi0")
            back = download.saw("path changed: 10.77.1.2:", away)
            phone.take_address("wifi0")
            away = download.saw("path changed: 10.77.2.2:", back)
            phone.give_address("wifi0")
            ready = download.saw("spare path: wifi0", away)
            phone.switch_off("wwan0")  # before Wi-Fi has proved stable
            download.saw("path changed: 10.77.1.2:", ready)
        connection, story = self.run_with(disturb)
        self.assertGreaterEqual(connection["migrations"], 4, story)

    def test_it_stays_where_it_is_told_to(self):
        def disturb(phone, download):
            download.saw("connected: ")
            phone.switch_off("wifi0")
            phone.connect("wifi0")
        connection, story = self.run_with(disturb, "--network-policy", "never")
        self.assertEqual(connection["migrations"], 0)
        self.assertNotIn("spare path", story)
        self.assertNotIn("migrating", story)


if __name__ == "__main__":
    run_where_possible(Phone)
