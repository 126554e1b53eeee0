"""Runs the `tern` program: servers on free ports, and clients that report in JSON."""

import json
import os
import pathlib
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

TERN = os.environ["TERN"]
PATIENCE = 60  # seconds; how long anything may take on a busy machine
HTTP3 = "--http3-only"  # not the ladder's choice: on a busy machine TCP is there first


def environment(home, **extra):
    """A user of their own, so that development certificates do not mix."""
    clean = {k: v for k, v in os.environ.items()
             if k not in ("QLOGDIR", "SSLKEYLOGFILE") and not k.lower().endswith("_proxy")}
    return {**clean, "XDG_DATA_HOME": str(home), "NO_COLOR": "1", **extra}


def free_port():
    """Free for UDP and TCP on 127.0.0.1, and none of those that the kernel gives to clients: one of them might have it
    before the server is up."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(max(1024, low - 16384), low)
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """`tern serve` on a free port; its log is JSON, so its lines are events."""

    def __init__(self, home, *arguments, listen="127.0.0.1:0", env=None, cwd=None):
        self.home = home
        self.process = subprocess.Popen(
            [*self.command(), "serve", "--log", "json", "--listen", listen, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(home, **(env or {})), cwd=cwd,
        )
        self.lines = queue.Queue()
        self.errors = []
        self.readers = [threading.Thread(target=read, daemon=True)
                        for read in (self._read, self._read_errors)]
        for reader in self.readers:
            reader.start()
        try:
            self.start = self.event("listening")
        except AssertionError:
            self.stop()
            raise
        self.url = self.start["url"].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def command(self):
        return [TERN]

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def _read_errors(self):
        self.errors.extend(self.process.stderr)

    def next_line(self):
        return self.lines.get(timeout=PATIENCE)

    def event(self, name, **members):
        """The next line with that event; what comes before it is dropped."""
        return self._until(lambda line: line.get("event") == name
                           and all(str(v) in str(line.get(k)) for k, v in members.items()), name)

    def access(self, path):
        return self._until(lambda line: line.get("path") == path, path)

    def _until(self, wanted, what):
        while True:
            line = self.next_line()
            assert line is not None, f"tern serve ended before {what}: {''.join(self.errors)}"
            if wanted(line):
                return line

    def counters(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.event("counters")["counters"]

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(timeout=PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode


class WatchedGet:
    """`tern get -v --json` under the test's eyes: its stderr is read line by line, and so is, if there is a `fifo`, what it
    writes there, at no more than `rate` bytes a second until `finish`."""

    PIECE = 65536

    def __init__(self, program, home, *arguments, fifo=None, rate=None):
        """program: a command, perhaps in a namespace, that ends with `tern`."""
        self.lines = []  # None behind the last
        self.news = threading.Condition()
        self.hurry = threading.Event()
        self.received = 0
        self.intact = True  # the demo site's pattern
        self.fifo = fifo
        self.rate = rate
        output = ["-o", str(fifo)] if fifo else []
        if fifo:
            os.mkfifo(fifo)
        self.process = subprocess.Popen(
            [*program, "get", "-v", "--json", *output, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home))
        self.readers = [threading.Thread(target=read, daemon=True)
                        for read in (self._read_lines, *([self._read_body] if fifo else []))]
        for reader in self.readers:
            reader.start()

    def _read_lines(self):
        for line in self.process.stderr:
            self._tell(line.rstrip("\n"))
        self._tell(None)

    def _tell(self, line):
        with self.news:
            self.lines.append(line)
            self.news.notify_all()

    def _read_body(self):
        pattern = bytes(range(251)) * (self.PIECE // 251 + 2)
        with open(self.fifo, "rb", buffering=0) as body:
            while piece := body.read(self.PIECE):
                at = self.received % 251
                self.intact = self.intact and piece == pattern[at:at + len(piece)]
                self.received += len(piece)
                self.hurry.wait(self.PIECE / self.rate)

    def saw(self, text, after=-1):
        """Waits for a line with `text` behind the line `after`; returns its place."""
        def found():
            return next((i for i, line in enumerate(self.lines)
                         if i > after and line is not None and text in line), None)
        with self.news:
            self.news.wait_for(lambda: found() is not None or None in self.lines,
                               timeout=2 * PATIENCE)
            place = found()
            assert place is not None, f"no line with '{text}':\n{self.story()}"
            return place

    def story(self):
        return "\n".join(line for line in self.lines if line is not None)

    def finish(self):
        """Its report; it must have ended well."""
        self.hurry.set()
        output = self.process.stdout.read()
        code = self.process.wait(timeout=PATIENCE)
        for reader in self.readers:
            reader.join()
        assert code == 0, f"exit code {code}\n{output}\n{self.story()}"
        return json.loads(output)

    def stop(self):
        self.hurry.set()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.readers[0].join()
        self.process.stderr.close()
        if self.fifo:
            os.unlink(self.fifo)


class Fetched:
    """What `tern get --json` said."""

    def __init__(self, finished):
        self.code = finished.returncode
        self.stderr = finished.stderr
        self.report = json.loads(finished.stdout) if finished.stdout else {}
        self.transfers = self.report.get("transfers", [])
        self.connections = self.report.get("connections", [])

    @property
    def transfer(self):
        assert len(self.transfers) == 1, self.report
        return self.transfers[0]

    @property
    def connection(self):
        assert len(self.connections) == 1, self.report
        return self.connections[0]

    @property
    def body(self):
        return self.transfer["body"]


class TernTest(unittest.TestCase):
    """Each test has a folder of its own; servers end with the test."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tern-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.home = self.folder / "home"

    def serve(self, *arguments, **options):
        server = Server(self.home, *arguments, **options)
        self.addCleanup(server.stop)
        return server

    @property
    def ca(self):
        return str(self.home / "tern" / "ca.pem")

    def tern(self, *arguments, env=None, **options):
        return subprocess.run(
            [TERN, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
            env=environment(self.home, **(env or {})), **options,
        )

    def get(self, server, *arguments, env=None, **options):
        """`tern get --json` from the server, over HTTP/3 if `arguments` name no protocol; texts that begin with a
        slash stand for its URLs."""
        words = [server.url + a if isinstance(a, str) and a.startswith("/") else a
                 for a in arguments]
        if not any(str(a).startswith("--http") for a in arguments):
            words.append(HTTP3)
        return Fetched(self.tern("get", "--json", "--cacert", self.ca, *words, *self.reach(server),
                                 env=env, **options))

    def engines(self):
        version = json.loads(self.tern("version", "--json").stdout)
        has_io_uring = any(f["name"] == "io_uring" and f["available"] for f in version["features"])
        return ["epoll", "io_uring"] if has_io_uring else ["epoll"]

    @staticmethod
    def reach(server):
        """No test waits for the address family that the server does not listen on."""
        address = server.start["addresses"].split(", ")[0].rsplit(":", 1)[0]
        if address in ("[::]", "0.0.0.0"):
            address = "127.0.0.1"
        return ["--resolve", f"localhost:{server.port}:{address}"]

    def assert_done(self, fetched):
        self.assertEqual(fetched.code, 0, fetched.stderr + json.dumps(fetched.report))
        for transfer in fetched.transfers:
            self.assertEqual(transfer["status"], 200, transfer)
            self.assertEqual(transfer["protocol"], "h3")
        return fetched

    def assert_pattern(self, path, size):
        """The bytes of the demo site's /bytes/N."""
        data = pathlib.Path(path).read_bytes()
        self.assertEqual(len(data), size)
        period = bytes(range(251))
        self.assertEqual(data, (period * (size // 251 + 1))[:size])


NOT_RUN = 77  # what CTest takes for a skipped test


def run_where_possible(world):
    """The tests of this program, if its `world` of network namespaces can be made: that takes root, as in CI."""
    try:
        with world():
            pass
    except (OSError, subprocess.CalledProcessError) as problem:
        detail = getattr(problem, "stderr", None) or problem
        print(f"NOT RUN: the network namespaces of this test cannot be made: {detail}", flush=True)
        sys.exit(NOT_RUN)
    unittest.main(verbosity=2)
