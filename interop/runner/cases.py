"""The interop runner's 22 test cases and two measurements: what is asked, and what is checked.

The checks look at the captures of both sides of the path, the files, and the key log, as the
runner's do. Nothing an endpoint says about itself counts.
"""

import dataclasses
import random
import string

from harness.process import Failure, check
from runner.frames import (ACK_ECN, CERTIFICATE, CLIENT_HELLO, CRYPTO, INITIAL_MAX_STREAMS_BIDI,
                           PATH_CHALLENGE, PATH_RESPONSE, Reader)
from runner.protection import CHACHA20, V1, V2
from runner.trace import Kind

KB, MB = 1 << 10, 1 << 20
_LINK = "--delay=15ms --bandwidth=10Mbps --queue=25"
_NAME_LENGTH = 250  # of zerortt's files
_ECT = (1, 2)
_CE = 3


@dataclasses.dataclass
class Evidence:
    """What is left when a case has run."""
    left: object  # Trace of the client's side
    right: object  # Trace of the server's side
    has_keys: bool
    connections: int  # handshakes the case asks for

    def version_one_alone(self):
        versions = {packet.version for packet in self.right.packets(Kind.INITIAL, False)}
        check(versions == {V1}, "QUIC versions of the server's Initials: "
              + (", ".join(f"{each:#x}" for each in sorted(versions)) or "none"))

    def handshakes(self):
        seen = {packet.scid for packet in self.right.packets(Kind.INITIAL, False)}
        check(len(seen) == self.connections,
              f"{len(seen)} handshakes instead of {self.connections}")

    def needs_keys(self):
        check(self.has_keys, "no key log: neither side wrote one")


@dataclasses.dataclass
class Case:
    abbreviation: str
    name: str
    what: str
    files: list  # sizes
    client: str = "transfer"  # TESTCASE of each side
    server: str = "transfer"
    scenario: str = "simple-p2p " + _LINK
    host: str = "server4"
    timeout: int = 60
    chain: int = 1
    connections: int = 1
    name_length: int = 16
    checks: tuple = ()
    version_one: bool = True
    repetitions: int = 1
    competitor: bool = False  # a TCP connection downloads at the same time
    refused_by: str = ""  # the role that must end with 127
    measure: object = None  # Evidence -> kbit/s
    explain: object = None  # Evidence of a failure -> the reason as a text, or None

    @property
    def is_measurement(self):
        return self.measure is not None

    def file_names(self):
        letters = random.SystemRandom()
        return ["".join(letters.choices(string.ascii_lowercase, k=self.name_length))
                for _ in self.files]

    def verify(self, evidence):
        """Raises Failure for the first thing that is not as it must be."""
        evidence.handshakes()
        if self.version_one:
            evidence.version_one_alone()
        for each in self.checks:
            each(evidence)


# ---- the checks -------------------------------------------------------------------------------


def no_retry(evidence):
    retries = list(evidence.left.packets(Kind.RETRY))
    check(not retries, f"{len(retries)} Retry packets nobody asked for")


def hello_sent_again(evidence):
    hellos = 0
    for packet in evidence.left.packets(Kind.INITIAL, True):
        hellos += any(frame.type == CRYPTO and frame.offset == 0
                      and frame.data[:1] == bytes([CLIENT_HELLO]) for frame in packet.frames or [])
    check(hellos >= 2, f"{hellos} ClientHello instead of at least 2")


def only_chacha20(evidence):
    offered = {suite for each in evidence.left.connections if each.client_hello
               for suite in each.client_hello.suites}
    check(offered == {CHACHA20},
          "cipher suites offered: " + ", ".join(f"{each:#06x}" for each in sorted(offered)))


def stream_limit(evidence):
    evidence.needs_keys()
    limits = [Reader(parameters[INITIAL_MAX_STREAMS_BIDI]).varint()
              for parameters in (each.server_parameters() for each in evidence.left.connections)
              if INITIAL_MAX_STREAMS_BIDI in parameters]
    check(limits, "the server's initial_max_streams_bidi was not seen")
    check(max(limits) <= 1000, f"initial_max_streams_bidi is {max(limits)}")


def retry_token_used(evidence):
    tokens = [packet.token for packet in evidence.left.packets(Kind.RETRY, False)]
    check(tokens, "no Retry packet")
    highest = -1
    for packet in evidence.left.packets(Kind.INITIAL, True):
        if not packet.token:
            highest = max(highest, packet.number)
            continue
        check(packet.number > highest,
              f"packet number {packet.number} after Retry, {highest} before: it was reset")
        if packet.token in tokens:
            return
    raise Failure("no Initial has the token of the Retry")


def certificate_once(evidence):
    evidence.needs_keys()
    sent = [any(kind == CERTIFICATE for kind, _ in each.stream(Kind.HANDSHAKE, False).messages())
            for each in evidence.left.connections]
    check(len(sent) == 2, f"{len(sent)} connections were read instead of 2")
    check(sent[0], "no Certificate in the first handshake")
    check(not sent[1], "a Certificate in the second handshake: the session was not resumed")


def requests_in_zero_rtt(evidence):
    early = sum(packet.protected for packet in evidence.left.packets(Kind.ZERO_RTT, True))
    late = sum(packet.protected for packet in evidence.left.packets(Kind.ONE_RTT, True))
    check(early > 0, "no 0-RTT data")
    limit = 0.5 * _NAME_LENGTH * 40
    check(late <= limit, f"{late} bytes in 1-RTT packets of the client, more than {limit:.0f}")


def keys_updated(evidence):
    evidence.needs_keys()
    before = 0
    for packet in evidence.left.packets(Kind.ONE_RTT):
        if packet.key_phase == 1:
            break
        before += 0 if packet.datagram.from_client else packet.protected
    check(before <= MB, f"{before} bytes came before the first packet of key phase 1")
    for trace, from_client, name in ((evidence.left, True, "client"),
                                     (evidence.right, False, "server")):
        updated = sum(packet.key_phase == 1 for packet in trace.packets(Kind.ONE_RTT, from_client))
        check(updated, f"no packet of key phase 1 from the {name}")


def marked_and_reported(evidence):
    evidence.needs_keys()
    for trace, from_client, name in ((evidence.left, True, "client"),
                                     (evidence.right, False, "server")):
        marks = [datagram.ecn for datagram in trace.of(from_client)]
        check(any(mark in _ECT for mark in marks), f"the {name} marks no packet ECT(0) or ECT(1)")
        check(_CE not in marks, f"the {name} marks packets CE")
        check(any(packet.has_frame(ACK_ECN) for packet in trace.packets(from_client=from_client)),
              f"no ACK frame with ECN counts from the {name}")


def amplification_limit(evidence):
    evidence.needs_keys()
    end = max((each.stream(Kind.HANDSHAKE, False).end for each in evidence.right.connections),
              default=0)
    check(end >= 7500, f"{end} bytes of Handshake CRYPTO: not the chain of nine certificates")
    allowed = 0
    for datagram in evidence.right.datagrams:
        if not datagram.packets:
            raise Failure("a datagram that is not QUIC's")
        kind = datagram.packets[0].kind
        check(kind is not Kind.VERSION_NEGOTIATION, "a Version Negotiation packet")
        if datagram.from_client:
            if kind is Kind.HANDSHAKE:
                return
            if kind is Kind.INITIAL:
                allowed += 4 * datagram.size
        else:
            check(datagram.size < allowed, "the server sent more than four times what it received")
            allowed -= datagram.size
    raise Failure("no Handshake packet from the client")


def several_paths(evidence):
    """The server's first packet on each new path has a PATH_CHALLENGE, and each that the link's queue has not dropped
    is answered."""
    evidence.needs_keys()
    first = {}
    for datagram in evidence.right.of(False):
        first.setdefault(datagram.path, datagram)
    check(len(first) >= 2, "the server saw a single path")
    challenges = []
    for datagram in list(first.values())[1:]:
        found = datagram.packets[0].frame_data(PATH_CHALLENGE)
        check(found, "the server's first packet to port "
              f"{datagram.destination[1]} has no PATH_CHALLENGE")
        challenges += found
    arrived, answers = (
        {data for packet in evidence.left.packets(from_client=from_client) for data in packet.frame_data(what)}
        for from_client, what in ((False, PATH_CHALLENGE), (True, PATH_RESPONSE)))
    check(arrived.intersection(challenges), "no PATH_CHALLENGE has come to the client")
    missing = [each.hex() for each in challenges if each in arrived and each not in answers]
    check(not missing, f"PATH_CHALLENGE without a PATH_RESPONSE: {', '.join(missing)}")


def deaf_server(evidence):
    """Why a client whose address changed got no files, if the server did not follow it."""
    clients = {datagram.source for datagram in evidence.right.of(True)}
    answered = {datagram.destination for datagram in evidence.right.of(False)}
    if len(clients) > 1 and len(answered) == 1:
        return "the server goes on sending to the client's first address"
    return None


def several_addresses(evidence):
    addresses = {datagram.destination[0] for datagram in evidence.right.of(False)}
    check(len(addresses) >= 2, "the server saw a single address of the client")


def fresh_connection_ids(evidence):
    first = {}
    for datagram in evidence.left.of(True):
        first.setdefault(datagram.path, datagram.packets[0].dcid)
    dcids = list(first.values())
    for before, after in zip(dcids, dcids[1:]):
        check(before != after, "the client's first packet on a new path has the old DCID "
              + after.hex())


def no_ipv4(evidence):
    count = sum(datagram.ip_version == 4 for datagram in evidence.right.of(False))
    check(count == 0, f"{count} packets of the server's are IPv4's")


def version_two(evidence):
    def versions(trace, kind, from_client):
        return {packet.version for packet in trace.packets(kind, from_client)}

    check(V1 in versions(evidence.left, Kind.INITIAL, True), "the client did not begin with v1")
    check(V2 in versions(evidence.right, Kind.INITIAL, False), "no Initial of the server in v2")
    for trace, from_client, name in ((evidence.left, True, "client"),
                                     (evidence.right, False, "server")):
        seen = versions(trace, Kind.HANDSHAKE, from_client)
        check(seen == {V2}, f"Handshake packets of the {name}: "
              + (", ".join(f"{each:#x}" for each in sorted(seen)) or "none"))


def goodput(evidence, size):
    """kbit/s from the first to the last 1-RTT packet of the server's that reached the client."""
    times = [packet.datagram.time for packet in evidence.left.packets(Kind.ONE_RTT, False)]
    check(times and times[-1] > times[0], "no 1-RTT packets")
    return 8 * size / (times[-1] - times[0]) / 1000


# ---- the cases --------------------------------------------------------------------------------


def _rates(name, percent):
    return (f"{name} {_LINK} --rate_to_server={percent} --rate_to_client={percent} "
            "--burst_to_server=3 --burst_to_client=3")


_REBIND = f"rebind {_LINK} --first-rebind=1s --rebind-freq=5s"

CASES = [
    Case("H", "handshake", "a handshake and one file", [KB], "handshake", "handshake",
         checks=(no_retry,)),
    Case("DC", "transfer", "three files at once", [2 * MB, 3 * MB, 5 * MB]),
    Case("LR", "longrtt", "a round trip of 1.5 s", [KB], "handshake", "handshake",
         scenario="simple-p2p --delay=750ms --bandwidth=10Mbps --queue=25",
         checks=(hello_sent_again,)),
    Case("C20", "chacha20", "ChaCha20-Poly1305 alone", [3 * MB], "chacha20", "chacha20",
         checks=(only_chacha20,)),
    Case("M", "multiplexing", "1999 small files on one connection", [32] * 1999,
         checks=(stream_limit,)),
    Case("S", "retry", "Retry, and no packet number twice", [10 * KB], "retry", "retry",
         checks=(retry_token_used,)),
    Case("R", "resumption", "a resumed session", [5 * KB, 10 * KB], "resumption", "resumption",
         connections=2, checks=(certificate_once,)),
    Case("Z", "zerortt", "40 requests, 39 of them in 0-RTT", [32] * 40, "zerortt", "zerortt",
         connections=2, name_length=_NAME_LENGTH, checks=(requests_in_zero_rtt,)),
    Case("3", "http3", "HTTP/3", [5 * KB, 10 * KB, 500 * KB], "http3", "http3"),
    Case("B", "blackhole", "2 s of nothing in a transfer", [10 * MB],
         scenario=f"blackhole {_LINK} --on=5s --off=2s"),
    Case("U", "keyupdate", "a key update", [3 * MB], "keyupdate", "transfer",
         checks=(keys_updated,)),
    Case("E", "ecn", "ECN marks and reports", [100 * KB], "ecn", "ecn",
         checks=(no_retry, marked_and_reported)),
    Case("A", "amplificationlimit", "nine certificates, lost acknowledgements", [5 * KB], chain=9,
         scenario=f"droplist {_LINK} --drops_to_server=2,3,4,5,6,7",
         checks=(amplification_limit,)),
    Case("L1", "handshakeloss", "50 handshakes, 30 % loss", [KB] * 50, "multiconnect",
         "multiconnect", scenario=_rates("drop-rate", 30), timeout=300, connections=50),
    Case("L2", "transferloss", "2 % loss", [2 * MB], scenario=_rates("drop-rate", 2)),
    Case("C1", "handshakecorruption", "50 handshakes, 30 % damaged", [KB] * 50, "multiconnect",
         "multiconnect", scenario=_rates("corrupt-rate", 30), timeout=300, connections=50),
    Case("C2", "transfercorruption", "2 % damaged", [2 * MB], scenario=_rates("corrupt-rate", 2)),
    Case("6", "ipv6", "IPv6", [5 * KB, 10 * KB], host="server6", checks=(no_ipv4,)),
    Case("V2", "v2", "from version 1 to version 2", [KB], "v2", "v2", version_one=False,
         checks=(version_two,)),
    Case("BP", "rebind-port", "a NAT that changes ports", [10 * MB], scenario=_REBIND,
         checks=(several_paths,), explain=deaf_server),
    Case("BA", "rebind-addr", "a NAT that changes addresses", [10 * MB],
         scenario=_REBIND + " --rebind-addr", checks=(several_addresses, several_paths),
         explain=deaf_server),
    Case("CM", "connectionmigration", "a move to the server's preferred address", [2 * MB],
         "transfer", "connectionmigration", host="server46",
         checks=(several_paths, fresh_connection_ids)),
    Case("G", "goodput", "kbit/s on a link of 10 Mbit/s", [10 * MB], repetitions=5,
         measure=lambda evidence: goodput(evidence, 10 * MB)),
    Case("C", "crosstraffic", "kbit/s beside a TCP connection", [25 * MB], timeout=180,
         repetitions=5, competitor=True, measure=lambda evidence: goodput(evidence, 25 * MB)),
]
# What the runner tries before it plays with an image: a test case that nobody can know.
COMPLIANCE = [
    Case("", "unknown-to-client", "127 for an unknown test case", [KB],
         client="compliance-" + "".join(random.SystemRandom().choices(string.ascii_lowercase, k=9)),
         refused_by="client"),
    Case("", "unknown-to-server", "127 for an unknown test case", [KB],
         server="compliance-" + "".join(random.SystemRandom().choices(string.ascii_lowercase, k=9)),
         refused_by="server"),
]
