"""The matrix's own tests: its packet reader against the RFC's vectors, its network's models, and
each check with evidence that it must refuse.

  python3 interop/runner/self_test.py
"""

import io
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
INTEROP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(INTEROP))

from harness.process import Failure  # noqa: E402
from runner import cases, frames, path, protection, trace, wireshark  # noqa: E402
from runner.protection import V1, V2  # noqa: E402
from runner.trace import Datagram, Kind, Packet  # noqa: E402

VECTORS = INTEROP.parent / "tests/vectors/quic"
CLIENT, SERVER = ("client", 1000), ("server", 443)


def vectors(name):
    """{name: bytes} of a vector file."""
    values, current = {}, None
    for line in (VECTORS / name).read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.endswith("="):
            current = line.removesuffix("=").strip()
            values[current] = b""
        else:
            values[current] += bytes.fromhex(line.strip())
    return values


class Protection(unittest.TestCase):
    def test_the_initial_of_both_versions(self):
        for version, file in ((V1, "rfc9001_a.txt"), (V2, "rfc9369_a.txt")):
            known = vectors(file)
            keys = protection.initial_keys(version, known["dcid"])[0]
            packet = known["client.packet"]
            header, number, length = protection.unprotect(keys, packet, 18)
            self.assertEqual(header, known["client.header"])
            self.assertEqual((number, length), (2, 4))
            payload = keys.open(number, header, packet[18 + length:])
            self.assertTrue(payload.startswith(known["client.payload"]))
            hello = next(iter(self.crypto(payload).messages()))
            self.assertEqual(frames.read_client_hello(hello[1]).suites, [0x1301, 0x1302])
            damaged = packet[:-1] + bytes([packet[-1] ^ 1])
            with self.assertRaises(protection.Undecryptable):
                keys.open(number, header, damaged[18 + length:])

    @staticmethod
    def crypto(payload):
        stream = frames.CryptoStream()
        for frame in frames.read_frames(payload):
            stream.add(frame)
        return stream

    def test_packet_numbers(self):  # RFC 9000, appendix A.3
        self.assertEqual(protection.full_number(0x9B32, 2, 0xA82F30EA), 0xA82F9B32)
        self.assertEqual(protection.full_number(0, 1, -1), 0)

    def test_crypto_out_of_order(self):
        stream = frames.CryptoStream()
        message = b"\x0b\x00\x00\x05hello"
        stream.add(frames.Frame(frames.CRYPTO, 6, message[6:]))
        self.assertEqual(list(stream.messages()), [])
        stream.add(frames.Frame(frames.CRYPTO, 0, message[:7]))
        self.assertEqual(list(stream.messages()), [(11, b"hello")])
        self.assertEqual(stream.end, len(message))


class Network(unittest.TestCase):
    @staticmethod
    def packet(source=path.CLIENT_V4, target=path.SERVER_V4, ports=(1000, 443), size=100):
        udp = struct.pack("!HHHH", *ports, 8 + size, 0) + bytes([7]) * size
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                         socket.inet_aton(source), socket.inet_aton(target))
        return path.with_checksums(bytearray(ip + udp))

    def scenario(self, text):
        return path.Scenario(f"{text} --delay=15ms --bandwidth=10Mbps --queue=25", seed=1)

    def test_options(self):
        clean = self.scenario("simple-p2p")
        self.assertEqual((clean.delay, clean.bits_per_second, clean.queue), (0.015, 1e7, 25))
        with self.assertRaises(ValueError):
            self.scenario("simple-p2p --nonsense=1")
        with self.assertRaises(ValueError):
            self.scenario("simple")

    def test_losses(self):
        model = self.scenario("drop-rate --rate_to_server=30 --rate_to_client=0 "
                              "--burst_to_server=3 --burst_to_client=3").model
        lost = [model.pass_on(self.packet(), 1, 0) is None for _ in range(4000)]
        self.assertTrue(0.25 < sum(lost) / len(lost) < 0.35)
        self.assertNotIn("1111", "".join(str(int(each)) for each in lost))
        self.assertTrue(all(model.pass_on(self.packet(), 0, 0) for _ in range(100)))

    def test_damage_is_one_byte_and_the_checksum_fits(self):
        model = self.scenario("corrupt-rate --rate_to_server=100 --rate_to_client=100 "
                              "--burst_to_server=9999 --burst_to_client=9999").model
        before = self.packet()
        after = model.pass_on(before, 1, 0)
        changed = [at for at in range(28, len(before)) if before[at] != after[at]]
        self.assertEqual(len(changed), 1)
        self.assertLess(changed[0], 28 + 50)
        self.assertEqual(after, path.with_checksums(bytearray(after)))

    def test_drop_list(self):
        model = self.scenario("droplist --drops_to_server=2,3").model
        passed = [model.pass_on(self.packet(), 1, 0) is not None for _ in range(4)]
        self.assertEqual(passed, [True, False, False, True])

    def test_blackhole(self):
        model = self.scenario("blackhole --on=5s --off=2s").model
        passed = [model.pass_on(self.packet(), 1, at) is not None for at in (4.9, 5, 6.9, 7)]
        self.assertEqual(passed, [True, False, False, True])

    def test_nat(self):
        model = self.scenario("rebind --first-rebind=1s --rebind-freq=5s --rebind-addr").model
        first = model.pass_on(self.packet(), 1, 0.5)
        self.assertEqual(first, self.packet())
        moved = model.pass_on(self.packet(), 1, 1.5)
        source, port = socket.inet_ntoa(moved[12:16]), int.from_bytes(moved[20:22], "big")
        self.assertNotEqual((source, port), (path.CLIENT_V4, 1000))
        back = model.pass_on(self.packet(path.SERVER_V4, source, (443, port)), 0, 2)
        self.assertEqual(back, self.packet(path.SERVER_V4, path.CLIENT_V4, (443, 1000)))
        old = self.packet(path.SERVER_V4, path.CLIENT_V4, (443, 1000))
        self.assertIsNone(model.pass_on(old, 0, 2))


    def test_a_trace_holds_what_the_server_sees_and_says(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "left.pcap"
            capture = path.Capture(file)
            for source, target in ((path.CLIENT_V4, path.SERVER_V4), ("193.167.0.7", path.SERVER_V4),
                                   (path.SERVER_V4, path.CLIENT_V4), (path.CLIENT_V4, "9.9.9.9")):
                capture.add(1.0, self.packet(source, target))
            capture.close()
            server = socket.inet_aton(path.SERVER_V4)
            read = trace.Trace(file, {}, server.__eq__)
            self.assertEqual([each.from_client for each in read.datagrams], [True, True, False])

    def test_key_log(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "keys.log"
            self.assertFalse(protection.is_key_log(file))
            file.write_text("CLIENT_RANDOM aa bb\n")
            self.assertFalse(protection.is_key_log(file))
            file.write_text("# a comment\nSERVER_HANDSHAKE_TRAFFIC_SECRET aa bb\n")
            self.assertTrue(protection.is_key_log(file))
            self.assertEqual(protection.read_key_logs([file]),
                             {b"\xaa": {"SERVER_HANDSHAKE_TRAFFIC_SECRET": b"\xbb"}})


class Wireshark(unittest.TestCase):
    PDML = b"""<pdml><packet><proto name="geninfo"><field name="timestamp" value="2.5"/></proto>
        <proto name="ip"><field name="ip.src" show="193.167.0.100"/></proto>
        <proto name="quic"><field name="quic.header_form" show="0" value="45"/>
          <field name="quic.key_phase" show="1" value="45"/>
          <proto name="tls"><field name="tls.handshake.type" show="1" value="01"/>
            <field name="tls.handshake.type" show="2" value="02"/></proto></proto></packet>
        <packet><proto name="geninfo"><field name="timestamp" value="3"/></proto></packet></pdml>"""

    def test_packets(self):
        first, second = wireshark.read_pdml(io.BytesIO(self.PDML))
        self.assertEqual(first.sniff_time.timestamp(), 2.5)
        self.assertEqual(first.ip.src, "193.167.0.100")
        self.assertTrue(hasattr(first, "quic") and "quic" in first)
        self.assertEqual(first["quic"].header_form, "0")
        self.assertEqual(first.quic.key_phase.raw_value, "1")
        self.assertEqual(getattr(first.quic, "tls.handshake.type"), "1")
        self.assertFalse(hasattr(first.quic, "long_packet_type"))
        self.assertFalse("quic" in second or hasattr(second, "ip"))


class Made(trace.Trace):
    """A trace that no capture was read for."""

    def __init__(self, *datagrams, connections=()):
        self.datagrams, self.connections = list(datagrams), list(connections)


def sent(from_client, kind, ecn=2, source=None, destination=None, size=1200, ip_version=4, time=0.0,
         frames=(), **fields):
    source = source or (CLIENT if from_client else SERVER)
    destination = destination or (SERVER if from_client else CLIENT)
    datagram = Datagram(time, from_client, ip_version, source, destination, ecn, size)
    fields = {"version": V1, "scid": b"s", "number": 0, **fields}
    datagram.packets.append(Packet(datagram, kind, frames=list(frames), **fields))
    return datagram


def evidence(left=(), right=(), keys=True, connections=1, read=()):
    return cases.Evidence(Made(*left, connections=read), Made(*right, connections=read), keys,
                          connections)


class Handshaken:
    """A connection as far as the checks look at it."""

    def __init__(self, suites=(0x1303,), certificate=True, streams=100, end=9000):
        self.client_hello = frames.ClientHello(bytes(32), list(suites))
        self._certificate, self._streams, self.end = certificate, streams, end

    def stream(self, *_):
        return self

    def messages(self):
        return [(frames.CERTIFICATE, b"")] if self._certificate else []

    def server_parameters(self):
        return {frames.INITIAL_MAX_STREAMS_BIDI: struct.pack("!H", 0x4000 | self._streams)}


def challenge(data=b"12345678"):
    return frames.Frame(frames.PATH_CHALLENGE, data=data)


def response(data=b"12345678"):
    return frames.Frame(frames.PATH_RESPONSE, data=data)


HELLO = frames.Frame(frames.CRYPTO, 0, b"\x01\0\0\0")
ACK_ECN = frames.Frame(frames.ACK_ECN)
ELSEWHERE = ("client", 2000)


class Checks(unittest.TestCase):
    def passes(self, check, *args, **named):
        check(evidence(*args, **named))

    def refuses(self, words, check, *args, **named):
        with self.assertRaisesRegex(Failure, words):
            check(evidence(*args, **named))

    def test_handshakes_and_versions(self):
        two = [sent(False, Kind.INITIAL, scid=b"a"), sent(False, Kind.INITIAL, scid=b"b")]
        evidence(right=two, connections=2).handshakes()
        self.refuses("2 handshakes instead of 1", cases.Evidence.handshakes, right=two)
        self.passes(cases.Evidence.version_one_alone, right=two)
        other = [*two, sent(False, Kind.INITIAL, version=V2)]
        self.refuses("versions", cases.Evidence.version_one_alone, right=other)

    def test_no_retry(self):
        self.passes(cases.no_retry, [sent(False, Kind.INITIAL)])
        self.refuses("Retry", cases.no_retry, [sent(False, Kind.RETRY)])

    def test_hello_sent_again(self):
        hello = sent(True, Kind.INITIAL, frames=[HELLO])
        self.passes(cases.hello_sent_again, [hello, hello])
        self.refuses("1 ClientHello", cases.hello_sent_again, [hello, sent(True, Kind.INITIAL)])

    def test_only_chacha20(self):
        self.passes(cases.only_chacha20, read=[Handshaken()])
        self.refuses("cipher suites", cases.only_chacha20, read=[Handshaken((0x1303, 0x1301))])

    def test_stream_limit(self):
        self.passes(cases.stream_limit, read=[Handshaken(streams=1000)])
        self.refuses("1001", cases.stream_limit, read=[Handshaken(streams=1001)])
        self.refuses("not seen", cases.stream_limit)
        self.refuses("no key log", cases.stream_limit, keys=False)

    def test_retry_token_used(self):
        retry = sent(False, Kind.RETRY, token=b"token")
        first = sent(True, Kind.INITIAL, number=5)
        again = sent(True, Kind.INITIAL, number=6, token=b"token")
        self.passes(cases.retry_token_used, [first, retry, again])
        self.refuses("no Retry", cases.retry_token_used, [first])
        self.refuses("no Initial", cases.retry_token_used, [first, retry])
        reset = sent(True, Kind.INITIAL, number=5, token=b"token")
        self.refuses("reset", cases.retry_token_used, [first, retry, reset])

    def test_certificate_once(self):
        self.passes(cases.certificate_once, read=[Handshaken(), Handshaken(certificate=False)])
        self.refuses("not resumed", cases.certificate_once, read=[Handshaken(), Handshaken()])

    def test_requests_in_zero_rtt(self):
        early = sent(True, Kind.ZERO_RTT, protected=1100)
        self.passes(cases.requests_in_zero_rtt, [early, sent(True, Kind.ONE_RTT, protected=5000)])
        self.refuses("5001", cases.requests_in_zero_rtt,
                     [early, sent(True, Kind.ONE_RTT, protected=5001)])
        self.refuses("no 0-RTT", cases.requests_in_zero_rtt, [])

    def test_keys_updated(self):
        client, server = (sent(side, Kind.ONE_RTT, key_phase=1) for side in (True, False))
        self.passes(cases.keys_updated, [client], [server])
        self.refuses("from the server", cases.keys_updated, [client],
                     [sent(False, Kind.ONE_RTT, key_phase=0)])

    def test_marked_and_reported(self):
        client, server = (sent(side, Kind.ONE_RTT, frames=[ACK_ECN]) for side in (True, False))
        self.passes(cases.marked_and_reported, [client], [server])
        self.refuses("the client marks no", cases.marked_and_reported,
                     [sent(True, Kind.ONE_RTT, ecn=0, frames=[ACK_ECN])], [server])
        self.refuses("CE", cases.marked_and_reported, [client, sent(True, Kind.ONE_RTT, ecn=3)],
                     [server])
        self.refuses("from the server", cases.marked_and_reported, [client],
                     [sent(False, Kind.ONE_RTT)])

    def test_amplification_limit(self):
        begin, end = sent(True, Kind.INITIAL), sent(True, Kind.HANDSHAKE)
        flight = [sent(False, Kind.INITIAL)] * 3
        self.passes(cases.amplification_limit, right=[begin, *flight, end], read=[Handshaken()])
        self.refuses("four times", cases.amplification_limit,
                     right=[begin, *flight, *flight, end], read=[Handshaken()])
        self.refuses("nine", cases.amplification_limit, right=[begin, end],
                     read=[Handshaken(end=700)])
        self.refuses("no Handshake", cases.amplification_limit, right=[begin, *flight],
                     read=[Handshaken()])

    def test_several_paths(self):
        before = sent(False, Kind.ONE_RTT)
        moved = sent(False, Kind.ONE_RTT, destination=ELSEWHERE, frames=[challenge()])
        answer = sent(True, Kind.ONE_RTT, frames=[response()])
        lost = sent(False, Kind.ONE_RTT, destination=("192.0.2.9", 9), frames=[challenge(b"dropped!")])
        self.passes(cases.several_paths, [moved, answer], [before, moved])
        self.passes(cases.several_paths, [moved, answer], [before, moved, lost])
        self.refuses("a single path", cases.several_paths, [answer], [before])
        self.refuses("no PATH_CHALLENGE", cases.several_paths, [answer],
                     [before, sent(False, Kind.ONE_RTT, destination=ELSEWHERE), moved])
        self.refuses("has come to the client", cases.several_paths, [answer], [before, moved])
        self.refuses("without a PATH_RESPONSE", cases.several_paths,
                     [moved, sent(True, Kind.ONE_RTT, frames=[response(b"another!")])], [before, moved])

    def test_deaf_server(self):
        moved = [sent(True, Kind.ONE_RTT), sent(True, Kind.ONE_RTT, source=ELSEWHERE)]
        first, second = (sent(False, Kind.ONE_RTT, destination=to) for to in (CLIENT, ELSEWHERE))
        self.assertIn("first address", cases.deaf_server(evidence(right=[*moved, first])))
        self.assertIsNone(cases.deaf_server(evidence(right=[*moved, first, second])))
        self.assertIsNone(cases.deaf_server(evidence(right=[moved[0], first])))

    def test_several_addresses(self):
        before = sent(False, Kind.ONE_RTT)
        self.passes(cases.several_addresses,
                    right=[before, sent(False, Kind.ONE_RTT, destination=("moved", 1000))])
        self.refuses("single address", cases.several_addresses,
                     right=[before, sent(False, Kind.ONE_RTT, destination=ELSEWHERE)])

    def test_fresh_connection_ids(self):
        before = sent(True, Kind.ONE_RTT, dcid=b"a")
        self.passes(cases.fresh_connection_ids,
                    [before, sent(True, Kind.ONE_RTT, dcid=b"b", destination=("server", 4433))])
        self.refuses("old DCID", cases.fresh_connection_ids,
                     [before, sent(True, Kind.ONE_RTT, dcid=b"a", destination=("server", 4433))])

    def test_no_ipv4(self):
        self.passes(cases.no_ipv4, right=[sent(False, Kind.ONE_RTT, ip_version=6)])
        self.refuses("IPv4", cases.no_ipv4, right=[sent(False, Kind.ONE_RTT)])

    def test_version_two(self):
        left = [sent(True, Kind.INITIAL), sent(True, Kind.HANDSHAKE, version=V2)]
        right = [sent(False, Kind.INITIAL, version=V2), sent(False, Kind.HANDSHAKE, version=V2)]
        self.passes(cases.version_two, left, right)
        self.refuses("begin with v1", cases.version_two, left[1:], right)
        self.refuses("in v2", cases.version_two, left, right[1:])
        self.refuses("Handshake packets of the server", cases.version_two, left,
                     [*right, sent(False, Kind.HANDSHAKE)])

    def test_goodput(self):
        times = [sent(False, Kind.ONE_RTT, time=at) for at in (1.0, 2.0)]
        self.assertAlmostEqual(cases.goodput(evidence(times), 1_000_000), 8000)
        with self.assertRaises(Failure):
            cases.goodput(evidence(times[:1]), 1)

    def test_every_case_of_the_runner_is_there(self):
        self.assertEqual(sum(not each.is_measurement for each in cases.CASES), 22)
        self.assertEqual(sum(each.is_measurement for each in cases.CASES), 2)
        for each in cases.CASES:
            path.Scenario(each.scenario, 0)


class Scripts(unittest.TestCase):
    def test_shell(self):
        for script in ("run_endpoint.sh", "collect_files.sh", "peers"):
            shell = "sh" if script == "collect_files.sh" else "bash"
            subprocess.run([shell, "-n", INTEROP / script], check=True)
            if shutil.which("shellcheck"):
                found = subprocess.run(["shellcheck", "--severity=error", INTEROP / script],
                                       capture_output=True, text=True, check=False)
                self.assertEqual(found.stdout, "")


    def test_collected_files_are_complete(self):
        program = shutil.which("openssl")
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([INTEROP / "collect_files.sh", program, folder], check=True)
            there = {each.name for each in pathlib.Path(folder, "lib").iterdir()}
            self.assertTrue(any(name.startswith("libssl.") for name in there), there)
            self.assertFalse(any(name.startswith("libc.") for name in there), there)
            # A library that still comes from elsewhere.
            ldd = pathlib.Path(folder, "ldd")
            ldd.write_text("#!/bin/sh\necho 'libnone.so.1 => /bin/sh (0x0)'\n")
            ldd.chmod(0o755)
            done = subprocess.run([INTEROP / "collect_files.sh", program, folder], check=False,
                                  env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True,
                                  text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("left out: libnone.so.1", done.stderr)


if __name__ == "__main__":
    unittest.main()
