"""Chromium and Firefox, driven by drivers/browser.mjs. To start one is most of the work of a case that has one: cases that
want the same switches share it, each in browser contexts of its own."""

import base64
import collections
import dataclasses
import json
import os
import queue
import signal
import subprocess
import threading

from harness.namespace import Namespace
from harness.process import INTEROP, Certificates, Failure, check, free_port, peer_path
from harness.tern import last_lines

PATIENCE = 150.0  # seconds for a run of a driver
PROGRAM = INTEROP / "drivers/browser.mjs"
LIBRARIES = {"chromium": "playwright-core", "firefox": "puppeteer-core"}
PORTS = 24  # for the servers that a browser has to know before it starts


class Fleet:
    """The browsers of one network, in one program, for as long as the run. namespace: where, if not with everybody else."""

    def __init__(self, folder, namespace=None):
        folder.mkdir()
        self.namespace = namespace
        command = ["node", PROGRAM]
        self._log = folder / "browsers.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(namespace.command(command) if namespace else command, stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        self._lock = threading.Lock()
        self._waiting = {}  # queues, by the number of the run; None when the program has ended
        self._runs = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._lock:
                self._waiting.pop(answer["id"]).put(answer)
        with self._lock:
            waiting, self._waiting = self._waiting, None
        for each in waiting.values():
            each.put({"error": "the program has ended"})

    def drive(self, driver, options, browsers, meanwhile=None):
        answer = queue.Queue()
        with self._lock:
            check(self._waiting is not None, f"the browsers' program has ended: {self._tail()}")
            self._runs += 1
            self._waiting[self._runs] = answer
            job = {"id": self._runs, "driver": driver, "options": options, "browsers": browsers}
            try:
                self._process.stdin.write(json.dumps(job) + "\n")
                self._process.stdin.flush()
            except OSError:
                pass  # the reader sees the end
        if meanwhile:
            meanwhile()
        try:
            said = answer.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failure(f"the browser was not through within {PATIENCE:.0f} s") from None
        check("seen" in said, f"the browser failed: {said.get('error')} {self._tail()}")
        return said["seen"]

    def _tail(self):
        return last_lines(self._log.read_text(errors="replace"))

    def close(self):
        try:
            self._process.stdin.close()
            self._process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # also what it left behind
        except ProcessLookupError:
            pass
        self._process.wait()
        if self.namespace:
            self.namespace.__exit__()


@dataclasses.dataclass
class Browser:
    """One that starts with the first case that drives it. ports: that it knows of, for one server each."""
    fleet: Fleet
    launch: dict  # its name, and the driver that launches it with these options
    ports: collections.deque

    def drive(self, driver, options, *others, meanwhile=None):
        """What `driver` saw in it, and in `others` of the same network. meanwhile: called while it is at it."""
        return self.fleet.drive(driver, options, [each.launch for each in (self, *others)], meanwhile)


def fleet(case, blocked=False):
    """blocked: in a namespace of its own, where UDP can be switched off."""
    name = "browsers-blocked" if blocked else "browsers"

    def start():
        namespace = Namespace().__enter__() if blocked else None
        started = Fleet(case.shared / name, namespace)
        case.lasting.append(started)
        return started
    return case.once(name, start)


def known_ports(case):
    return case.once("ports that browsers know", lambda: [free_port() for _ in range(PORTS)])


def shared(case, kind, name, options, blocked=False):
    """The browser of that name, which is of a kind and launched with these options."""
    def describe():
        ports = known_ports(case)
        everything = {"module": peer_path(LIBRARIES[kind]), "browser": peer_path(kind)} | options
        if kind == "firefox":
            everything["profile"] = firefox_profile(case, name)
        return Browser(fleet(case, blocked), {"name": name, "driver": kind, "options": everything},
                       case.once("ports that are left", lambda: collections.deque(ports)))
    return case.once(("browser", name), describe)


def chromium(case, name="chromium-h3", blocked=False, **options):
    """By default one that asks its ports of localhost and 127.0.0.1 over QUIC at once."""
    hosts = [f"{host}:{port}" for port in known_ports(case) for host in ("localhost", "127.0.0.1")]
    return shared(case, "chromium", name, {"spki": case.certs.spki, "hosts": hosts} | options, blocked)


def chromium_with_features(case):
    """It speaks over HTTP/3 what others do not yet."""
    return chromium(case, "chromium-features", features=["EnableWebsocketsOverHttp3", "EnableWebTransportDraft07"])


def firefox(case, name="firefox-h3", blocked=False, **options):
    """By default one that speaks HTTP/3: on 127.0.0.1 at once, always with `firefox_port`, elsewhere when a server says so."""
    options = {"host": "127.0.0.1", "port": firefox_port(case)} | options
    return shared(case, "firefox", name, options, blocked)


def firefox_port(case):
    return case.once("Firefox's port", free_port)


def over_tcp(case, kind, protocol):
    """A browser with QUIC switched off, and for HTTP/1.1 HTTP/2 as well."""
    make = {"chromium": chromium, "firefox": firefox}[kind]
    return make(case, f"{kind}-{protocol.replace('/', '')}", quic=False, http2=protocol == "h2")


def behind_walls(case, kind):
    """A browser in a namespace where UDP can be switched off. Chromium tries QUIC again soon after it has failed."""
    if kind == "firefox":
        return firefox(case, "firefox-blocked", blocked=True)
    return chromium(case, "chromium-blocked", blocked=True, retry=2)


def stranger(case):
    """A certificate of a CA that no browser knows."""
    def make():
        folder = case.shared / "stranger"
        folder.mkdir()
        return Certificates(folder, "another CA")
    return case.once("stranger", make)


def waved_through(case):
    """A port of localhost for a server with that certificate: Firefox's user has said that the page is to be shown."""
    return case.once("waved through", free_port)


def firefox_profile(case, name):
    """A fresh one that trusts the server's CA."""
    profile = case.shared / name
    profile.mkdir()
    for command in (["-N", "--empty-password"], ["-A", "-n", "tern", "-t", "C,,", "-i", str(case.certs.ca)]):
        done = subprocess.run(["certutil", *command, "-d", f"sql:{profile}"], check=False,
                              capture_output=True, text=True)
        check(done.returncode == 0, f"certutil: {done.stderr.strip()}")
    fingerprint = base64.b64decode(stranger(case).sha256).hex(":").upper()
    (profile / "cert_override.txt").write_text(
        f"localhost:{waved_through(case)}:\tOID.2.16.840.1.101.3.4.2.1\t{fingerprint}\t\n")
    return str(profile)
