"""Processes, ports, certificates and the QUIC readiness probe, for interop/run and serve-peer.

Every process started here runs in a process group of its own and is stopped by that group's id;
nothing is ever stopped by name.
"""

import base64
import hashlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

INTEROP = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = INTEROP.parent


class Failure(Exception):
    """The case ran and the outcome is not what it must be."""


class NotRun(Exception):
    """The case could not run here, for a reason that is no fault of tern's."""


def check(condition, message):
    if not condition:
        raise Failure(message)


class Process:
    """A child with its output in a file."""

    def __init__(self, name, command, log, env=None, cwd=None, prepare=None):
        self.name = name
        self.log = pathlib.Path(log)
        self._file = self.log.open("wb")
        self._popen = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self._file,
            stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, cwd=cwd,
            start_new_session=True, preexec_fn=prepare)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def status(self):
        """Exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    def text(self):
        return self.log.read_text(errors="replace")

    def tail(self, lines=5):
        return " | ".join(self.text().strip().splitlines()[-lines:])

    def wait(self, timeout):
        """The exit status, or None when it still runs after `timeout` seconds."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def stop(self, number=signal.SIGTERM, timeout=5.0):
        """Ends it: `number` first, SIGKILL when that has not worked after `timeout` seconds.

        Returns the exit status, or None when it had to be killed.
        """
        self.send_signal(number)
        status = self.wait(timeout)
        self.send_signal(signal.SIGKILL)  # also what the process left behind in its group
        self._popen.wait()
        self._file.close()
        return status


_given_ports = set()
_giving_ports = threading.Lock()


def free_port():
    """A port free for UDP and TCP on every local address: below those that the kernel gives to clients, one of which
    might have it before the server is up, and another one at each call."""
    low = max(2048, int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    for _ in range(200):
        port = random.randrange(max(1024, low - 16384), low)
        with _giving_ports:
            if port in _given_ports:
                continue
            _given_ports.add(port)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp, \
                socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tcp:
            try:
                for each in (udp, tcp):
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                    each.bind(("::", port))
            except OSError:
                continue
            return port
    raise NotRun("no port is free for both UDP and TCP")


def version_probe(version=b"WAIT", dcid=bytes(8), scid=bytes(8), size=1207):
    """A datagram that looks like an Initial of an unknown QUIC version (RFC 9000, section 6)."""
    head = b"\xc0" + version + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return head + bytes(size - len(head))


def probe(port, datagram, timeout, host="127.0.0.1"):
    """The first answer to `datagram`, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout)
        udp.connect((host, port))
        try:
            udp.send(datagram)
            return udp.recv(2048)
        except OSError:  # no answer in time, or the port is closed (ICMP)
            return None


def wait_for_quic(process, port, timeout=15.0):
    """Waits until a QUIC server answers on `port` (Version Negotiation) or its process ends."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        started = time.monotonic()
        if probe(port, version_probe(), 0.2) is not None:
            return
        if process.status is not None:
            raise Failure(f"{process.name} ended with {process.status}: {process.tail()}")
        time.sleep(max(0.0, 0.05 - (time.monotonic() - started)))
    raise Failure(f"{process.name} does not answer on UDP port {port} after {timeout:.0f} s: "
                  f"{process.tail()}")


def wait_for_tcp(process, port, timeout=15.0):
    """Waits until `process` accepts connections on 127.0.0.1."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.status is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failure(f"{process.name} does not listen on TCP port {port}: {process.tail()}")


class Certificates:
    """A throw-away CA and a P-256 leaf for localhost, made by the openssl program. They have what
    RFC 5280 wants of them: Python is strict about it from 3.13 on.

    ca: PEM of the CA. cert, key: PEM of the leaf. spki: base64 SHA-256 of the leaf's public key, as
    Chromium takes it.
    """

    def __init__(self, folder, authority="tern interop CA"):
        self.folder = pathlib.Path(folder)
        self.ca, self.cert, self.key = (
            self.folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem",
                      "-days", "13", "-subj", f"/CN={authority}",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._openssl("req", *new_key, "-keyout", "key.pem", "-out", "leaf.csr",
                      "-subj", "/CN=localhost")
        (self.folder / "leaf.ext").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n"
            "basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\n"
            "extendedKeyUsage=serverAuth\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self._openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", "13", "-extfile", "leaf.ext", "-out", "cert.pem")
        public = self._openssl("x509", "-in", "cert.pem", "-pubkey", "-noout")
        der = self._openssl("pkey", "-pubin", "-outform", "der", stdin=public)
        leaf = self._openssl("x509", "-in", "cert.pem", "-outform", "der")
        self.sha256 = base64.b64encode(hashlib.sha256(leaf).digest()).decode()
        self.spki = base64.b64encode(hashlib.sha256(der).digest()).decode()
        self.key.chmod(0o644)  # servers in the chroot read it as their own user

    def _openssl(self, *arguments, stdin=None):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, input=stdin,
                              capture_output=True, check=False)
        check(done.returncode == 0, f"openssl {arguments[0]}: {done.stderr.decode().strip()}")
        return done.stdout


def peer_path(name):
    """Where interop/peers has put NAME; NotRun when it is not installed."""
    done = subprocess.run([INTEROP / "peers", "path", name], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise NotRun(f"{name} is not installed")
    return done.stdout.strip()
