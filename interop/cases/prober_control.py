"""The prober's verdicts, held against another client's: gtlsclient asks each server for the same, and
its log decides.

Letters that gtlsclient has no means for are left out: C, S, Q, G, d, A and W, and X, because the
client in nghttp3 does not read SETTINGS_ENABLE_CONNECT_PROTOCOL.
"""

from cases.prober import DOWNLOAD, EXPECTED, start
from harness.gtls import CHACHA20, V1, V2, GtlsLog
from harness.matrix import SMALL, case
from harness.process import check, peer_path


class Client:
    """gtlsclient with a server; each method is a case of the prober's, and tells whether it passed."""

    def __init__(self, run, port):
        self._run, self._port = run, port
        self._plain = None

    def ask(self, *flags, paths=(SMALL,), patience="4s"):
        urls = [f"https://localhost:{self._port}/{path}" for path in paths]
        command = [peer_path("gtlsclient"), "--no-quic-dump", "--no-http-dump",
                   f"--timeout={patience}", f"--handshake-timeout={patience}",
                   "--exit-on-all-streams-close", f"--download={self._run.folder}",
                   "--sni=localhost", *flags, "127.0.0.1", str(self._port), *urls]
        return GtlsLog(self._run.run("gtlsclient", command, timeout=30)[1])

    @property
    def plain(self):
        """A connection without flags, with four requests."""
        if self._plain is None:
            self._plain = self.ask(paths=[SMALL] * 4)
        return self._plain

    def version_negotiation(self):  # V
        log = self.ask("--version=0x1a2a3a4a")
        return log.has(r"pkt rx \d+ VN v=") and not log.has(r"VN v=0x1a2a3a4a")

    def handshake(self):  # H
        return self.plain.handshakes == 1 and self.plain.frames("rx", "HANDSHAKE_DONE") > 0

    def version_2(self):  # 2
        log = self.ask("--version=v2", "--available-versions=v2,v1")
        return log.versions("rx", "Handshake") == {V2}

    def chacha20(self):  # c
        log = self.ask(f"--ciphers={CHACHA20}")
        return log.cipher == "CHACHA20-POLY1305" and log.statuses == [200]

    def stream_data(self):  # D
        return self.plain.statuses == [200] * 4

    def http3(self):  # 3
        return self.plain.has("http: remote settings") and 200 in self.plain.statuses

    def throughput(self):  # T
        file = self._run.folder / str(DOWNLOAD)
        file.unlink(missing_ok=True)
        self.ask(paths=[str(DOWNLOAD)], patience="20s")
        return file.exists() and file.stat().st_size == DOWNLOAD

    def _again(self, *flags):
        """The logs of a first connection, and of one that has its ticket."""
        keep = [f"--session-file={self._run.folder}/session",
                f"--tp-file={self._run.folder}/parameters", "--wait-for-ticket"]
        return self.ask(*keep), self.ask(*keep, *flags)

    def resumption(self):  # R
        first, second = self._again("--disable-early-data")
        return 0 < second.server_flight("rx") < first.server_flight("rx") - 200

    def zero_rtt(self):  # Z
        _, log = self._again()
        rejected = log.has("(?i)early data was rejected") or log.requests_after_handshake("tx")
        return log.zero_rtt_request("tx") and not rejected and log.statuses == [200]

    def key_update(self):  # U
        log = self.ask("--key-update=50ms", "--delay-stream=300ms")
        return log.key_phase("rx") > 0 and log.statuses == [200]

    def cid_change(self):  # M
        log = self.ask("--change-local-addr=200ms", "--delay-stream=1500ms")
        return log.path_validated and log.statuses == [200]

    def nat_rebinding(self):  # B
        log = self.ask("--change-local-addr=200ms", "--nat-rebinding", "--delay-stream=1500ms")
        return log.frames("rx", "PATH_CHALLENGE") > 0 and log.statuses == [200]

    def preferred_address(self):  # F
        return self.plain.has("remote transport_parameters preferred_address")

    def ecn(self):  # E
        return self.plain.has(r"frm rx \S+ \w+ ACK\(0x03\)")

    def datagrams(self):  # g
        frames = self.plain.has(r"remote transport_parameters max_datagram_frame_size=[1-9]")
        return frames and self.plain.has("http: SETTINGS_H3_DATAGRAM=1")


JUDGED = {"V": Client.version_negotiation, "H": Client.handshake, "2": Client.version_2,
          "c": Client.chacha20, "D": Client.stream_data, "3": Client.http3, "T": Client.throughput,
          "R": Client.resumption, "Z": Client.zero_rtt, "U": Client.key_update,
          "M": Client.cid_change, "B": Client.nat_rebinding, "F": Client.preferred_address,
          "E": Client.ecn, "g": Client.datagrams}
# gtlsclient moves at once. The prober asks the new path first (RFC 9000 §8.2), which aioquic does not
# answer: its PATH_RESPONSE waits until the new path is in use.
OTHERWISE = {"aioquic": "M"}


@case("prober-control/caddy", "caddy", 7, name="caddy")
@case("prober-control/gtlsserver", "gtls", 7, name="gtlsserver")
@case("prober-control/nginx", "nginx", 7, name="nginx")
@case("prober-control/haproxy", "haproxy", 7, name="haproxy")
@case("prober-control/bun", "bun", 7, name="bun")
@case("prober-control/aioquic", "aioquic", 7, name="aioquic")
def same_verdicts(run, name):
    client = Client(run, start(run, name))
    found = {letter: bool(judge(client)) for letter, judge in JUDGED.items()}
    check(client.plain.versions("rx", "Handshake") == {V1}, "the handshake is not version 1's")
    expected = EXPECTED[name].passes + OTHERWISE.get(name, "")
    differ = [f"{letter} {'passes' if passed else 'does not pass'}"
              for letter, passed in found.items() if passed != (letter in expected)]
    check(not differ, "gtlsclient sees it otherwise than `tern interop`: " + ", ".join(differ))
