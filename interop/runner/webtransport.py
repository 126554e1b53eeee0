"""The interop runner's seven WebTransport test cases: what is asked, and what is checked.

Sessions are at the first component of a URL's path, the endpoint, and all are on one QUIC
connection. Who asks for files says the case; they go both ways.
"""

import dataclasses
import filecmp
import os
import random
import string

from harness.process import check
from runner.cases import KB, MB, Case
from runner.play import Play

_FILES = [100 * KB, 500 * KB, 250 * KB, MB, 2 * MB]
_DATAGRAMS = list(range(600, 1000, 2))


@dataclasses.dataclass
class WebTransportCase(Case):
    asks: str = "client"  # the role whose REQUESTS name files


def _pair(kind, letter, files):
    name = f"transfer-{kind}"
    return [WebTransportCase(letter + "R", f"{name}-receive", f"the client asks, {kind}", files,
                             f"{name}-receive", "transfer"),
            WebTransportCase(letter + "S", f"{name}-send", f"the server asks, {kind}", files,
                             "transfer", f"{name}-send", asks="server")]


WEBTRANSPORT_CASES = [
    WebTransportCase("H", "handshake", "a session, and the protocol that both sides name", [],
                     "handshake", "handshake"),
    *_pair("unidirectional", "U", _FILES),
    *_pair("bidirectional", "B", _FILES),
    *_pair("datagram", "D", _DATAGRAMS),
]


def _words(count):
    letters = random.SystemRandom()
    return ["".join(letters.choices(string.ascii_lowercase, k=12)) for _ in range(count)]


class WebTransportPlay(Play):
    """A case under way: each side has a /www and a /downloads of its own."""

    def _write_files(self):
        self.endpoint, = _words(1)
        self._www = {"client": self._make("www-client"), "server": self.www}
        self._downloads = {"client": self.downloads, "server": self._make("downloads-server")}
        self._asking = self.case.asks
        self._answering = "server" if self._asking == "client" else "client"
        folder = self._www[self._answering] / self.endpoint
        folder.mkdir(mode=0o755)
        for name, size in zip(self._names, self.case.files):
            (folder / name).write_bytes(os.urandom(size))
        # Five on each side, two of which they share, in the other order.
        ours, theirs, shared = _words(3), _words(3), _words(2)
        self._protocols = {"client": [*ours[:1], shared[0], *ours[1:], shared[1]],
                           "server": [shared[1], *theirs, shared[0]]}
        self._expected = shared[0]

    def mounts(self, role):
        return {"www": self._www[role], "downloads": self._downloads[role]}

    def variables(self, role):
        paths = [f"/{self.endpoint}/{name}" for name in self._names] if role == self._asking else []
        if role == "client":
            host = f"https://{self.case.host}:443"
            paths = [host + path for path in paths or [f"/{self.endpoint}"]]
        protocols = self._protocols[role] if self.case.name == "handshake" else []
        return {"TERN_PROTOCOL": "webtransport", "REQUESTS": " ".join(paths),
                "PROTOCOLS": " ".join(protocols)}

    def _compare_files(self):
        if self.case.name == "handshake":
            for role, folder in self._downloads.items():
                written = (folder / "negotiated_protocol.txt").read_text()
                check(written == self._expected,
                      f"the {role} has negotiated {written!r} instead of {self._expected!r}")
            return
        source = self._www[self._answering] / self.endpoint
        target = self._downloads[self._asking] / self.endpoint
        there = {each.name for each in target.iterdir()} if target.exists() else set()
        missing = [name for name in self._names if name not in there]
        check(not missing, f"{len(missing)} of {len(self._names)} files are missing")
        check(there == set(self._names), f"{len(there) - len(self._names)} files too many")
        for name in self._names:
            check(filecmp.cmp(source / name, target / name, shallow=False),
                  f"{name} is not what the {self._answering} has")
