"""`tern serve --handover` and clients on TCP: whoever comes is served, by one process or the other."""

import functools
import http.client
import pathlib
import signal
import socket
import ssl
import threading

from handover_test import Generations
from tern_program import PATIENCE

HELLO = b"hello over http/1.1\n"


class StreamHandoverTest(Generations):
    @functools.cached_property
    def context(self):
        return ssl.create_default_context(cafile=self.ca)

    def hello(self, server, sock=None):
        """One request on a connection of its own, perhaps one that stands already."""
        connection = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE, context=self.context)
        try:
            bare = sock or socket.create_connection(("127.0.0.1", server.port), PATIENCE)
            connection.sock = self.context.wrap_socket(bare, server_hostname="localhost")
            connection.request("GET", "/hello")
            return connection.getresponse().read()
        finally:
            connection.close()

    def clear_hello(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/hello")
            return connection.getresponse().read()
        finally:
            connection.close()

    def test_who_comes_meanwhile_notices_nothing(self):
        engines = self.engines()
        for engine in {engines[0], engines[-1]}:
            with self.subTest(engine=engine):
                flags = ["--engine", engine, "--http", "127.0.0.1:0", "--workers"]
                server = self.start(*flags, "1")
                clear = int(server.start["http_addresses"].rsplit(":", 1)[1])
                served, troubles, over = [], [], threading.Event()

                def come():
                    while not over.wait(0.02):
                        try:
                            assert self.hello(server) == HELLO
                            assert self.clear_hello(clear) == HELLO
                            served.append(1)
                        except (OSError, http.client.HTTPException, AssertionError) as trouble:
                            troubles.append(repr(trouble))

                clients = [threading.Thread(target=come) for _ in range(4)]
                for client in clients:
                    client.start()
                old = server
                for workers in ("3", "1", "2"):
                    enough = len(served) + 20
                    self.wait_for(lambda: len(served) >= enough or troubles)
                    new = self.start(*flags, workers, listen=f"127.0.0.1:{server.port}")
                    old.event("message", text="handed over")
                    old = new
                enough = len(served) + 20
                self.wait_for(lambda: len(served) >= enough or troubles)
                over.set()
                for client in clients:
                    client.join()
                self.assertEqual(troubles, [])
                self.assertGreater(new.counters()["server.tcp.accepted"], 0)
                new.stop()

    def test_a_handshake_that_has_begun_is_finished(self):
        old = self.start("--workers", "2")
        waiting = [socket.create_connection(("127.0.0.1", old.port), PATIENCE) for _ in range(5)]
        self.wait_for(lambda: old.counters()["server.tcp.accepted"] == 5)
        new = self.start("--workers", "2")
        old.event("message", text="handed over")
        for sock in waiting:
            self.assertEqual(self.hello(old, sock), HELLO)
        self.assertEqual(old.counters()["server.tls.handshakes"], 5)
        self.assertEqual(self.hello(new), HELLO)
        self.assertEqual(new.counters()["server.tls.handshakes"], 1)
        self.assertEqual(old.wait(), 0)

    def test_a_new_process_that_dies_gives_everything_back(self):
        old = self.start("--workers", "2", "--handover-drain", "60s")
        kept = socket.create_connection(("127.0.0.1", old.port), PATIENCE)  # the old one lives on
        self.addCleanup(kept.close)
        self.wait_for(lambda: old.counters()["server.tcp.accepted"] == 1)
        new = self.start("--workers", "3")
        old.event("message", text="handed over")
        self.assertEqual(self.hello(new), HELLO)
        new.signal(signal.SIGKILL)
        old.event("message", text="serves again")
        for _ in range(10):
            self.assertEqual(self.hello(old), HELLO)

    @staticmethod
    def listening(server):
        """How many listeners on TCP the process has (proc(5))."""
        listeners = set()
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    listeners.add(f"socket:[{fields[9]}]")
        own = set()
        for fd in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
            try:
                own.add(str(fd.readlink()))
            except FileNotFoundError:
                pass  # closed meanwhile
        return len(own & listeners)

    def test_who_is_replaced_twice_listens_no_more(self):
        first = self.start("--workers", "2")
        kept = socket.create_connection(("127.0.0.1", first.port), PATIENCE)
        self.addCleanup(kept.close)
        self.wait_for(lambda: first.counters()["server.tcp.accepted"] == 1)
        self.assertEqual(self.listening(first), 2)
        second = self.start("--workers", "2")
        first.event("message", text="handed over")
        self.assertEqual(self.listening(first), 2)  # for it may have to serve again
        third = self.start("--workers", "2")
        second.event("message", text="handed over")
        self.wait_for(lambda: self.listening(first) == 0)
        self.assertEqual(self.hello(third), HELLO)

    def test_addresses_that_the_new_process_does_not_have(self):
        old = self.start("--listen", "127.0.0.2:0")
        second = int(old.start["addresses"].split(", ")[1].rsplit(":", 1)[1])
        kept = socket.create_connection(("127.0.0.1", old.port), PATIENCE)
        self.addCleanup(kept.close)
        self.wait_for(lambda: old.counters()["server.tcp.accepted"] == 1)
        self.start()
        old.event("message", text="handed over")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", second), PATIENCE)
