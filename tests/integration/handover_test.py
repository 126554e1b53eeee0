"""One `tern serve --handover` takes over from another while clients are at work."""

import json
import os
import signal
import socket
import subprocess
import time

from tern_program import HTTP3, PATIENCE, TERN, TernTest, WatchedGet, environment

SIZE, MOST_OF_IT = 60_000_000, "45MB"


class Generations(TernTest):
    """Servers that take over from each other."""

    def setUp(self):
        super().setUp()
        self.path = str(self.folder / "handover")
        self.downloads = 0

    def start(self, *arguments, listen="127.0.0.1:0"):
        return self.serve("--handover", self.path, *arguments, listen=listen)

    def client(self, *arguments):
        process = subprocess.Popen([TERN, *map(str, arguments)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment(self.home))

        def stop():
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.addCleanup(stop)
        return process

    def download(self, server, *arguments, url=None):
        """One that has begun and lasts, however fast the machine is, until `assert_whole` wants its end."""
        self.downloads += 1
        download = WatchedGet([TERN], self.home, HTTP3, "--cacert", self.ca, *self.reach(server), *arguments,
                              f"{url or server.url}/bytes/{SIZE}",
                              fifo=self.folder / f"body-{self.downloads}", rate=3_000_000)
        self.addCleanup(download.stop)
        download.saw("< HTTP/3 200")
        return download

    def bench(self, server, *arguments):
        """One that lasts until `report` is called."""
        return self.client("bench", "--json", "--cacert", self.ca, "-D", "1h", *arguments,
                           server.url.replace("localhost", "127.0.0.1") + "/hello")

    def report(self, bench):
        bench.send_signal(signal.SIGINT)
        stdout, stderr = bench.communicate(timeout=PATIENCE)
        self.assertEqual(bench.returncode, 0, stderr)
        return json.loads(stdout)

    @staticmethod
    def wait_for_end(download):
        download.hurry.set()
        download.process.wait(timeout=PATIENCE)

    @staticmethod
    def wait_for(condition):
        while not condition():
            time.sleep(0.01)  # a question is work for the server, too


class HandoverTest(Generations):
    def assert_whole(self, download):
        report = download.finish()
        self.assertEqual(len(report["connections"]), 1, "one handshake")
        self.assertTrue(download.intact)
        self.assertEqual(download.received, SIZE)

    def replace(self, old_arguments, new_arguments):
        """A long download and a bench across a replacement."""
        old = self.start(*old_arguments)
        download = self.download(old, "--migrate-at", MOST_OF_IT)
        bench = self.bench(old, "-c", "4", "-m", "4", "--rate", "500")
        self.wait_for(lambda: old.counters()["quic.handshakes_completed"] >= 5)
        new = self.start(*new_arguments)
        self.assertEqual(new.port, old.port)
        old.event("message", text="handed over")
        fresh = self.assert_done(self.get(new, "/hello"))
        self.assertGreaterEqual(new.counters()["quic.handshakes_completed"], 1, fresh.report)
        self.assert_whole(download)
        report = self.report(bench)
        self.assertEqual(report["errors"], {})
        self.assertEqual(report["statuses"], {"200": report["requests"]})
        counters = new.counters()
        self.assertGreater(counters["server.forwarded"], 0)
        self.assertEqual(counters["quic.stateless_resets_sent"], 0)
        self.assertEqual(old.wait(), 0)
        self.assert_done(self.get(new, "/hello"))
        return new

    def test_one_worker(self):
        for engine in self.engines():
            with self.subTest(engine=engine):
                self.replace(["--engine", engine], ["--engine", engine]).stop()

    def test_other_numbers_of_workers_and_another_engine(self):
        engines = self.engines()
        for before, after in (("1", "3"), ("4", "2"), ("2", "2")):
            with self.subTest(before=before, after=after):
                self.replace(["--workers", before, "--engine", engines[0]],
                             ["--workers", after, "--engine", engines[-1]]).stop()

    def test_encrypted_connection_ids(self):
        key = self.folder / "cid.key"
        key.write_text("8f95f09245765f80256934e50c66207f")
        flags = ["--workers", "3", "--cid-key", str(key)]
        self.replace(flags, ["--workers", "2", *flags[2:]])

    def test_three_generations(self):
        first = self.start("--workers", "2")
        downloads = [self.download(first)]
        second = self.start("--workers", "3")
        downloads.append(self.download(second))
        third = self.start("--workers", "1")
        for download in downloads:
            self.assert_whole(download)
        self.assertEqual((first.wait(), second.wait()), (0, 0))
        self.assert_done(self.get(third, "/hello"))

    def test_handshakes_go_on(self):
        server = self.start("--workers", "2")
        # Not as many as it can: two processors are busy enough with the servers that start.
        bench = self.bench(server, "--connect", "-c", "8", "--rate", "200")
        def serves():
            return bench.poll() is not None or server.counters()["quic.handshakes_completed"] >= 20
        for _ in range(3):
            self.wait_for(serves)
            server = self.start("--workers", "2")
        self.wait_for(serves)
        self.assertEqual(self.report(bench)["errors"], {})

    def test_a_new_process_that_cannot_start_changes_nothing(self):
        server = self.start("--workers", "2")
        download = self.download(server)
        failed = self.tern("serve", "--handover", self.path, "--listen",
                           f"127.0.0.1:{server.port}", "--cert", "none", "--key", "none")
        self.assertNotEqual(failed.returncode, 0)
        self.assert_whole(download)
        self.assert_done(self.get(server, "/hello"))
        self.start("--workers", "2")  # and it can still be replaced
        self.assertEqual(server.wait(), 0)

    def test_a_new_process_that_dies_gives_everything_back(self):
        old = self.start("--workers", "2")
        download = self.download(old)
        new = self.start("--workers", "3")
        new.signal(signal.SIGKILL)
        old.event("message", text="serves again")
        self.assert_whole(download)
        self.assert_done(self.get(old, "/hello"))
        self.start("--workers", "2")
        self.assertEqual(old.wait(), 0)

    def test_an_old_process_that_dies_leaves_resets(self):
        old = self.start("--workers", "2")
        # An upload: who only receives may have said its last word already, and would wait for more.
        upload = self.client("get", HTTP3, "--json", "--cacert", self.ca, "-o", "/dev/null",
                             *self.reach(old), "-X", "POST", "-T", "/dev/zero",
                             f"{old.url}/echo")
        self.wait_for(lambda: old.counters().get("http3.requests", 0) == 1)
        new = self.start("--workers", "2")
        old.signal(signal.SIGKILL)
        stdout, _ = upload.communicate(timeout=PATIENCE)
        self.assertIn("stateless reset", stdout)
        self.assertGreaterEqual(new.counters()["quic.stateless_resets_sent"], 1)

    def test_an_address_that_the_new_process_does_not_have(self):
        old = self.start("--listen", "127.0.0.2:0")
        second = old.start["addresses"].split(", ")[1]
        download = self.download(old, "-k", url=f"https://{second}")
        new = self.start()
        self.assertNotIn(second, new.start["addresses"])
        self.assert_whole(download)
        self.assertEqual(old.wait(), 0)
        # Nobody holds it any more.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.2", int(second.rsplit(":", 1)[1])))

    def test_stopping_the_new_process_stops_both(self):
        old = self.start("--drain-timeout", "200ms")
        download = self.download(old)
        new = self.start("--drain-timeout", "200ms")
        new.signal(signal.SIGTERM)
        self.assertEqual((new.wait(), old.wait()), (0, 0))
        self.wait_for_end(download)
        self.assertFalse(os.path.exists(self.path))

    def test_a_replaced_process_drains_in_the_end(self):
        old = self.start("--handover-drain", "300ms", "--drain-timeout", "200ms")
        download = self.download(old)
        self.start()
        self.assertEqual(old.wait(), 0)
        self.wait_for_end(download)

    def test_the_socket_is_private_and_a_stale_one_is_replaced(self):
        stale = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stale.bind(self.path)
        stale.close()
        server = self.start()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assert_done(self.get(server, "/hello"))
        # Whoever talks nonsense is sent away, and the next one is served.
        rude = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        rude.connect(self.path)
        rude.send(b"nonsense")
        self.assertEqual(rude.recv(100), b"")
        rude.close()
        self.start()
        self.assertEqual(server.wait(), 0)

    def fail_against(self, old):
        """How a new process ends when `old(connection)` plays the one that serves: its line."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        listener.listen()
        listener.settimeout(PATIENCE)
        new = self.client("serve", "--listen", "127.0.0.1:0", "--handover", self.path)
        connection, _ = listener.accept()
        listener.close()
        with connection:
            self.assertEqual(connection.recv(100), b"H\x02")
            old(connection)
        _, stderr = new.communicate(timeout=PATIENCE)
        self.assertEqual(new.returncode, 1, stderr)
        [line] = stderr.strip().splitlines()
        self.assertIn(self.path, line)
        self.assertIn("top it first", line)
        return line

    def test_an_older_process_is_named_as_what_keeps_this_one_from_starting(self):
        # Builds before version 2 hang up; later ones say what they speak.
        self.assertIn("older build", self.fail_against(lambda connection: None))
        os.unlink(self.path)
        line = self.fail_against(lambda connection: connection.send(b"H\x07"))
        self.assertIn("by version 7 of the protocol, this one by version 2", line)

    def test_a_newer_process_is_told_which_version_serves(self):
        server = self.start()
        newer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        newer.connect(self.path)
        newer.send(b"H\x07")
        self.assertEqual(newer.recv(100), b"H\x02")
        self.assertEqual(newer.recv(100), b"")
        newer.close()
        self.assert_done(self.get(server, "/hello"))

    def test_a_path_that_cannot_be(self):
        failed = self.tern("serve", "--listen", "127.0.0.1:0", "--handover", "/x" * 80)
        self.assertEqual(failed.returncode, 2, failed.stderr)
        failed = self.tern("serve", "--listen", "127.0.0.1:0", "--handover",
                           self.folder / "none" / "x")
        self.assertEqual(failed.returncode, 1, failed.stderr)
        self.assertIn("make the folder", failed.stderr)
