"""The interop runner's network without Docker: two network namespaces, and a link in user space.

    client 193.167.0.100 ── eth0 ══ Link ══ eth0 ── 193.167.100.100 server

Both interfaces are TUN devices; this process moves each IP packet from one to the other, after what
the scenario's queue, rate, delay and error model do to it, and keeps a capture of both sides. The
scenarios, their options and what they mean are those of quic-network-simulator.
"""

import collections
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

from harness.process import NotRun

CLIENT_V4, SERVER_V4 = "193.167.0.100", "193.167.100.100"
CLIENT_V6, SERVER_V6 = "fd00:cafe:cafe:0::100", "fd00:cafe:cafe:100::100"
SIM_V4, SIM_PORT = "193.167.0.2", 57832  # where a client waits for the simulator
# Of the connection that competes with QUIC in the cross traffic scenario.
TCP_CLIENT, TCP_SERVER, TCP_PORT = "193.167.0.90", "193.167.100.110", 5001
HOSTS = f"""127.0.0.1 localhost
::1 localhost
{SIM_V4} sim
{SERVER_V4} server server4 server46
{SERVER_V6} server6 server46
"""

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network and mount namespace, alive as long as this object's holder process."""

    def __init__(self):
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "--",
             "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        if not self._holder.stdout.readline():
            raise NotRun("no network namespaces here: they need root, or a kernel that allows them")

    def prefix(self):
        """What a command line begins with to run here."""
        return ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", "--"]

    def run(self, script):
        subprocess.run([*self.prefix(), "sh", "-ec", script], check=True)

    def call(self, function):
        """The result of `function`, called on a thread in this network namespace."""
        result = []

        def enter():
            with open(f"/proc/{self._holder.pid}/ns/net") as handle:
                if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            result.append(function())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return result[0]

    def close(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()


def _open_tun():
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", b"eth0", _IFF_TUN | _IFF_NO_PI))
    return handle


class Capture:
    """A pcap file with nanoseconds, link type RAW."""

    def __init__(self, path):
        self._file = path.open("wb")
        self._file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101))

    def add(self, now, packet):
        self._file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e9), len(packet),
                                     len(packet)) + packet)

    def close(self):
        self._file.close()


# ---- what happens to packets at the far end of the link ---------------------------------------


def is_udp(packet):
    return (packet[9] if packet[0] >> 4 == 4 else packet[6]) == socket.IPPROTO_UDP


class Clean:
    """simple-p2p: nothing happens."""

    def pass_on(self, packet, to_server, elapsed):
        """The packet as it goes on, or None."""
        return packet


class Rate(Clean):
    """drop-rate and corrupt-rate: a share of the packets, at most `burst` in a row."""

    def __init__(self, chance, rates, bursts):
        self._chance, self._rates, self._bursts = chance, rates, bursts
        self._in_a_row = [0, 0]

    def pass_on(self, packet, to_server, elapsed):
        if not is_udp(packet):
            return packet
        hit = (self._in_a_row[to_server] < self._bursts[to_server]
               and self._chance.randrange(100) < self._rates[to_server])
        self._in_a_row[to_server] = self._in_a_row[to_server] + 1 if hit else 0
        return self.hurt(packet) if hit else packet

    def hurt(self, packet):
        return None


class Corrupt(Rate):
    """One byte among the first fifty of the UDP payload gets another value."""

    def hurt(self, packet):
        start = 8 + (4 * (packet[0] & 15) if packet[0] >> 4 == 4 else 40)
        at = start + self._chance.randrange(min(50, len(packet) - start))
        if packet[start + 1:start + 5] == bytes(4):
            return packet  # not Version Negotiation
        changed = bytearray(packet)
        changed[at] ^= self._chance.randrange(1, 256)
        return with_checksums(changed)


class DropList(Clean):
    """droplist: packets by their number, counted from 1 in each direction."""

    def __init__(self, to_client, to_server):
        self._drops = [to_client, to_server]
        self._counts = [0, 0]

    def pass_on(self, packet, to_server, elapsed):
        if not is_udp(packet):
            return packet
        self._counts[to_server] += 1
        return None if self._counts[to_server] in self._drops[to_server] else packet


class Blackhole(Clean):
    """blackhole: after `on` seconds nothing passes for `off` seconds, once."""

    def __init__(self, on, off):
        self._on, self._off = on, off

    def pass_on(self, packet, to_server, elapsed):
        return None if self._on <= elapsed < self._on + self._off else packet


class Rebind(Clean):
    """rebind: a NAT that gives every flow another port, and the client perhaps another address, at
    `first` seconds and every `interval` seconds after; packets to an old binding are dropped."""

    def __init__(self, chance, first, interval, address):
        self._chance, self._next, self._interval = chance, first, interval
        self._new_address = address
        self._client, self._server = map(socket.inet_aton, (CLIENT_V4, SERVER_V4))
        self._public = self._client
        self._outside = {}  # the client's port -> the NAT's
        self._inside = {}  # the reverse; None: an old one

    def pass_on(self, packet, to_server, elapsed):
        while elapsed >= self._next:
            self._rebind()
            self._next += self._interval
        if packet[0] >> 4 != 4 or not is_udp(packet):
            return packet
        start = 4 * (packet[0] & 15)
        changed = bytearray(packet)
        if to_server:
            port = int.from_bytes(packet[start:start + 2], "big")
            if port not in self._outside:
                self._outside[port], self._inside[port] = port, port
            changed[12:16] = self._public
            changed[start:start + 2] = self._outside[port].to_bytes(2, "big")
        else:
            port = self._inside.get(int.from_bytes(packet[start + 2:start + 4], "big"))
            if port is None or packet[16:20] != self._public:
                return None
            changed[16:20] = self._client
            changed[start + 2:start + 4] = port.to_bytes(2, "big")
        return with_checksums(changed)

    def _rebind(self):
        if self._new_address:
            old = self._public
            while self._public in (old, self._client):
                self._public = old[:3] + bytes([self._chance.randrange(1, 0xFF)])
        for port, outside in self._outside.items():
            self._inside[outside] = None
            while outside in self._inside:
                outside = self._chance.randrange(1024, 65536)
            self._outside[port], self._inside[outside] = outside, port


def with_checksums(packet):
    """The IPv4 or IPv6 UDP packet with both its checksums made anew."""
    v4 = packet[0] >> 4 == 4
    start = 4 * (packet[0] & 15) if v4 else 40
    if v4:
        packet[10:12] = bytes(2)
        packet[10:12] = _checksum(packet[:start])
    packet[start + 6:start + 8] = bytes(2)
    addresses = bytes(packet[12:20] if v4 else packet[8:40])
    pseudo = addresses + struct.pack("!II", len(packet) - start, socket.IPPROTO_UDP)
    packet[start + 6:start + 8] = _checksum(pseudo + packet[start:])
    return bytes(packet)


def _checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", bytes(data) + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", (~total & 0xFFFF) or 0xFFFF)


def seconds(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


class Scenario:
    """A line of the simulator's: "drop-rate --delay=15ms --bandwidth=10Mbps --queue=25 …"."""

    def __init__(self, text, seed):
        name, *flags = text.split()
        options = dict(flag.removeprefix("--").split("=") if "=" in flag
                       else (flag.removeprefix("--"), "") for flag in flags)
        chance = random.Random(seed)
        self.delay = seconds(options.pop("delay"))
        self.bits_per_second = float(options.pop("bandwidth").removesuffix("Mbps")) * 1e6
        self.queue = int(options.pop("queue"))

        def both(what):
            return [int(options.pop(f"{what}_to_client")), int(options.pop(f"{what}_to_server"))]

        def drops(direction):
            return {int(n) for n in options.pop(f"drops_to_{direction}", "").split(",") if n}

        if name == "simple-p2p":
            self.model = Clean()
        elif name in ("drop-rate", "corrupt-rate"):
            kind = Rate if name == "drop-rate" else Corrupt
            self.model = kind(chance, both("rate"), both("burst"))
        elif name == "droplist":
            self.model = DropList(drops("client"), drops("server"))
        elif name == "blackhole":
            self.model = Blackhole(seconds(options.pop("on")), seconds(options.pop("off")))
        elif name == "rebind":
            self.model = Rebind(chance, seconds(options.pop("first-rebind")),
                                seconds(options.pop("rebind-freq")),
                                options.pop("rebind-addr", None) is not None)
        else:
            raise ValueError(f"no scenario named {name}")
        if options:
            raise ValueError(f"{name} knows no --{next(iter(options))}")


class Path:
    """Both namespaces and the link between them. A context manager; `begin` starts the scenario's
    clock: what it does at a time, it does that long after."""

    def __init__(self, scenario, left, right):
        self._scenario = scenario
        self._captures = Capture(left), Capture(right)
        self.client, self.server = Namespace(), Namespace()
        self._tuns = [each.call(_open_tun) for each in (self.client, self.server)]
        for space, addresses in ((self.client, (CLIENT_V4, CLIENT_V6, TCP_CLIENT)),
                                 (self.server, (SERVER_V4, SERVER_V6, TCP_SERVER))):
            v4, v6, tcp = addresses
            space.run(f"""ip link set lo up
                ip addr add {SIM_V4}/32 dev lo
                ip addr add {v4}/24 dev eth0
                ip addr add {v6}/64 dev eth0 nodad
                ip addr add {tcp}/24 dev eth0
                ip link set eth0 up
                ip route add default dev eth0 src {v4}
                ip -6 route add default dev eth0 src {v6}""")
        self._ready = self.client.call(self._listen)
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.dropped = 0  # at the tail of a full queue

    @staticmethod
    def _listen():
        """The simulator's port, which clients wait for."""
        return socket.create_server((SIM_V4, SIM_PORT), backlog=16)

    def __enter__(self):
        self._begun = None
        self._thread.start()
        return self

    def begin(self):
        self._begun = time.monotonic()

    def __exit__(self, *_):
        os.write(self._stop_write, b"x")
        self._thread.join()
        for handle in (*self._tuns, self._stop_read, self._stop_write):
            os.close(handle)
        self._ready.close()
        for each in (*self._captures, self.client, self.server):
            each.close()

    def _run(self):
        # For each direction, to the client and to the server: when packets leave the queue.
        departures = collections.deque(), collections.deque()
        free_at = [0.0, 0.0]
        arriving = []  # (time, number, to_server, packet)
        number = 0
        poll = select.poll()
        for handle in (*self._tuns, self._stop_read):
            poll.register(handle, select.POLLIN)
        while True:
            wait = (arriving[0][0] - time.monotonic()) * 1000 if arriving else 1000
            ready = {handle for handle, _ in poll.poll(max(0, wait))}
            if self._stop_read in ready:
                return
            now = time.monotonic()
            for to_server in (0, 1):
                source = self._tuns[0 if to_server else 1]
                if source not in ready:
                    continue
                for packet in _read_all(source):
                    self._captures[0 if to_server else 1].add(time.time(), packet)
                    queue = departures[to_server]
                    while queue and queue[0] <= now:
                        queue.popleft()
                    if len(queue) > self._scenario.queue:
                        self.dropped += 1
                        continue
                    begin = max(now, free_at[to_server])
                    queue.append(begin)
                    free_at[to_server] = begin + 8 * len(packet) / self._scenario.bits_per_second
                    number += 1
                    heapq.heappush(arriving, (free_at[to_server] + self._scenario.delay, number,
                                              to_server, packet))
            while arriving and arriving[0][0] <= time.monotonic():
                self._deliver(*arriving[0][2:])
                heapq.heappop(arriving)

    def _deliver(self, to_server, packet):
        elapsed = 0.0 if self._begun is None else time.monotonic() - self._begun
        packet = self._scenario.model.pass_on(packet, to_server, elapsed)
        if packet is None:
            return
        self._captures[to_server].add(time.time(), packet)
        try:
            os.write(self._tuns[to_server], packet)
        except OSError:  # the host takes no more, or not this: lost, as on a real one
            pass


def _read_all(handle):
    while True:
        try:
            yield os.read(handle, 65536)
        except BlockingIOError:
            return
