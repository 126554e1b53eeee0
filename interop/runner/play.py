"""One test case between two programs: the world it runs in, and the verdict."""

import base64
import concurrent.futures
import filecmp
import hashlib
import itertools
import os
import signal
import socket
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from harness.process import INTEROP, Failure, Process, check, version_probe
from runner import certificates, path
from runner.cases import Evidence
from runner.endpoints import H3, HQ
from runner.protection import is_key_log, read_key_logs
from runner.trace import Trace

_SERVER_PATIENCE = 10.0  # s, until the readiness probe is answered, as in the runner
_UNSUPPORTED = 127
_AT_ONCE = 4  # clients with a connection each, where a case wants fifty

class UnsupportedCase(Exception):
    """An endpoint ended with 127."""

    def __init__(self, role):
        super().__init__(f"the {role} exits with 127")
        self.role = role


class Play:
    """A case under way. A context manager; everything of it is below `folder`."""

    def __init__(self, case, client, server, container, folder, seed):
        self.case, self.folder = case, folder
        self._endpoints = {"client": client, "server": server}
        self._container = container  # what tern runs in
        self.alpn = HQ if HQ in client.speaks and HQ in server.speaks else H3
        if case.name == "http3":
            self.alpn = H3
        self.www, self.downloads, self.certs = (self._make(name)
                                                for name in ("www", "downloads", "certs"))
        self.logs = {role: self._make(f"logs-{role}") for role in ("client", "server")}
        self.hosts = folder / "hosts"
        self.hosts.write_text(path.HOSTS)
        self.resolver = folder / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\n")
        certificates.write_chain(self.certs, case.chain)
        (self.certs / "priv.key").chmod(0o644)
        self._names = case.file_names()
        self._write_files()
        self.urls = [f"https://{case.host}:443/{name}" for name in self._names]
        self._captures = folder / "left.pcap", folder / "right.pcap"
        self._scenario = path.Scenario(case.scenario, seed)
        self._deadline = 0.0
        self._numbers = itertools.count(1)

    def _make(self, name):
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def _write_files(self):
        for name, size in zip(self._names, self.case.files):
            (self.www / name).write_bytes(os.urandom(size))

    def mounts(self, _role):
        """What a role has of the runner's folders of files."""
        return {"www": self.www, "downloads": self.downloads}

    def variables(self, role):
        """What a role's environment says of this case."""
        return {"PROTOCOLS": "", "REQUESTS": " ".join(self.urls) if role == "client" else ""}

    def spki(self):
        """Base64 of the SHA-256 of the leaf's public key."""
        leaf = x509.load_pem_x509_certificate((self.certs / "cert.pem").read_bytes())
        der = leaf.public_key().public_bytes(serialization.Encoding.DER,
                                             serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    # ---- for the endpoints

    def run(self, role, command, environment):
        """Runs a program to its end in the role's namespace; its exit status."""
        process = self._start(role, command, environment)
        status = process.wait(max(0.1, self._deadline - time.monotonic()))
        process.stop(signal.SIGKILL)
        if status is None:
            raise Failure(f"not done within {self.case.timeout} s: {process.tail(2)}")
        if status == _UNSUPPORTED:
            raise UnsupportedCase(role)
        if status != 0:
            raise Failure(f"the {role} exits with {status}: {process.tail(2)}")
        return status

    def run_each(self, role, commands, environment):
        """The same for several programs, of which few run at a time; the first one's failure."""
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            running = [pool.submit(self.run, role, command, environment) for command in commands]
            try:
                for each in running:
                    each.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return 0

    def contained(self, role, **more):
        """(command, environment) of tern in a root of its own, as the runner starts it."""
        variables = {"ROLE": role, "TESTCASE": getattr(self.case, role),
                     "SSLKEYLOGFILE": "/logs/keys.log", "QLOGDIR": "/logs/qlog/", "CRON": "",
                     **self.variables(role), **more}
        mounts = {**self.mounts(role), "certs": self.certs, "logs": self.logs[role]}
        return self._container.command(self._space(role), self.folder / f"root-{role}", self.folder,
                                       mounts, variables), {}

    # ---- the case itself

    def _space(self, role):
        return self._path.client if role == "client" else self._path.server

    def _start(self, role, command, environment):
        log = self.folder / f"{next(self._numbers)}-{role}.log"
        # No limit of this process on argument lists or memory is the runner's; the environment is.
        return Process(f"{self._endpoints[role].name} as {role}",
                       [*self._space(role).prefix(), *command], log, env=environment)

    def _wait_for_server(self, process):
        """The simulator's readiness probe, from the server's own side of the link."""
        cid = self._endpoints["server"].probe_cid
        datagram = version_probe(dcid=cid, scid=cid)

        def ask():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(0.1)
                udp.connect((path.SERVER_V4, 443))
                try:
                    udp.send(datagram)
                    answer = udp.recv(2048)
                except OSError:
                    return False
                return bool(answer[0] & 0x80) and answer[1:5] == bytes(4)

        deadline = time.monotonic() + _SERVER_PATIENCE
        while not self._space("server").call(ask):
            if process.status == _UNSUPPORTED:
                raise UnsupportedCase("server")
            check(process.status is None,
                  f"the server ended with {process.status}: {process.tail(2)}")
            check(time.monotonic() < deadline,
                  f"the server does not answer the readiness probe: {process.tail(2)}")
            time.sleep(0.05)

    def run_case(self):
        """The evidence, after both programs have ended; raises what went wrong, and what the
        captures know of the reason."""
        try:
            self._perform()
        except Failure as failure:
            reason = self.case.explain(self._evidence()) if self.case.explain else None
            raise Failure(f"{reason}: {failure}" if reason else str(failure)) from failure
        return self._evidence()

    def _perform(self):
        self._path = path.Path(self._scenario, *self._captures)
        for space in (self._path.client, self._path.server):
            # Names are those of the runner's alone: questions to a DNS server would be packets that
            # a scenario counts.
            space.run(f"""mount --bind {self.hosts} /etc/hosts
                mount --bind {self.resolver} /etc/resolv.conf""")
        with self._path:
            server = self._start("server", *self._endpoints["server"].server(self))
            try:
                self._wait_for_server(server)
                self._path.begin()  # now, so that a slow start is not what an outage falls into
                with Competitor(self._path) if self.case.competitor else _nobody():
                    self._deadline = time.monotonic() + self.case.timeout
                    self._endpoints["client"].client(self)
            finally:
                ended = server.status
                server.stop(timeout=10.0)
            check(ended is None, f"the server ended with {ended}: {server.tail(2)}")
        self._compare_files()
        for role, endpoint in self._endpoints.items():
            endpoint.look_at_logs(role, self.logs[role])

    def _evidence(self):
        secrets = self._secrets()
        addresses = {socket.inet_pton(socket.AF_INET6 if ":" in each else socket.AF_INET, each)
                     for each in (path.SERVER_V4, path.SERVER_V6)}
        traces = [Trace(side, secrets, addresses.__contains__) for side in self._captures]
        return Evidence(*traces, bool(secrets), self.case.connections)

    def _secrets(self):
        """Of the client's key log if that is one, else of the server's, as the runner chooses."""
        for role in ("client", "server"):
            path = self.logs[role] / "keys.log"
            if is_key_log(path):
                return read_key_logs([path])
        return {}

    def _compare_files(self):
        there = {each.name for each in self.downloads.iterdir()}
        missing = [name for name in self._names if name not in there]
        check(not missing, f"{len(missing)} of {len(self._names)} files are missing")
        check(there == set(self._names), f"{len(there) - len(self._names)} files too many")
        for name in self._names:
            check(filecmp.cmp(self.www / name, self.downloads / name, shallow=False),
                  f"{name} is not what the server has")


class _nobody:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Competitor:
    """A TCP connection with CUBIC on the same link, server to client, as fast as it goes."""

    def __init__(self, network):
        self._listener = network.client.call(
            lambda: socket.create_server((path.TCP_CLIENT, path.TCP_PORT)))
        self._sender = network.server.call(self._connect)
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._receive, self._send)]

    @staticmethod
    def _connect():
        sender = socket.socket()
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        sender.bind((path.TCP_SERVER, 0))
        return sender

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        for each in (self._sender, self._listener):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        for each in self._threads:
            each.join()

    def _send(self):
        block = bytes(64 * 1024)
        try:
            self._sender.connect((path.TCP_CLIENT, path.TCP_PORT))
            while True:
                self._sender.sendall(block)
        except OSError:
            pass

    def _receive(self):
        try:
            connection, _ = self._listener.accept()
            with connection:
                while connection.recv(64 * 1024):
                    pass
        except OSError:
            pass
