"""A phone with two networks, for real programs: four network namespaces and the veth pairs between them.

    phone: wifi0, wwan0 ── a router behind each ── server

Both routers have the server's public address, and relay to the server itself through `tern relay`,
which is the link: its delay, rate and queue, its cuts, its NAT. So a handoff changes interface, address,
route, delay and rate under the client. Wants root; nothing outside the namespaces changes.
"""

import itertools
import os
import subprocess

PUBLIC, MACHINE = "10.99.0.1", "10.98.0.1"  # the server's address, and the one behind the routers


class Link:
    """One way through a router: what its relay does, both directions alike."""

    def __init__(self, number, metric, delay_ms, mbps, queue_kib):
        self.number, self.metric = number, metric
        self.flags = ["--delay", f"{delay_ms}ms", "--rate", f"{mbps}mbps",
                      "--queue", f"{queue_kib}KiB"]
        packet, queue = 1500 * 8 / (mbps * 1e6), queue_kib * 1024 * 8 / (mbps * 1e6)
        self.delay = delay_ms / 1000
        self.longest_way = self.delay + queue  # with the queue full
        # As its first flight finds it: a packet there, the ten of an initial window back.
        self.first_rtt = 2 * self.delay + 11 * packet


LINKS = {"wifi0": Link(1, 600, 10, 40, 64), "wwan0": Link(2, 700, 30, 20, 64)}


def run(*command, lines=None):
    """What it prints; `lines` are its input."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True, input="\n".join(lines or [])).stdout


class Phone:
    """phone: wifi0, wwan0. The routers wifi0 and wwan0. server. Gone when the block ends."""

    _numbers = itertools.count(1)

    def __init__(self, prefix="tern-phone"):
        number = next(Phone._numbers)
        self.names = {name: f"{prefix}-{name}-{os.getpid()}-{number}"
                      for name in ("phone", *LINKS, "server")}

    def __enter__(self):
        try:
            for name in self.names.values():
                run("ip", "netns", "add", name)
            self._lay_out()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def ip(self, name, *arguments):
        return run("ip", "-n", self.names[name], *arguments)

    def _lay_out(self):
        """Wires, addresses and routes: a batch for the wires, and one for each namespace."""
        wires, inside = [], {name: ["link set lo up"] for name in self.names}

        def wire(one, one_device, one_address, other, other_device, other_address):
            wires.append(f"link add {one_device} netns {self.names[one]} type veth "
                         f"peer name {other_device} netns {self.names[other]}")
            for name, device, address in ((one, one_device, one_address),
                                          (other, other_device, other_address)):
                inside[name] += [f"addr add {address}/24 dev {device}", f"link set {device} up"]

        inside["server"].append(f"addr add {MACHINE}/32 dev lo")
        for name, link in LINKS.items():
            wire("phone", name, f"10.77.{link.number}.2", name, "to-phone", f"10.77.{link.number}.1")
            wire(name, "to-server", f"10.78.{link.number}.2", "server", f"from-{name}",
                 f"10.78.{link.number}.1")
            inside[name] += [f"addr add {PUBLIC}/32 dev lo",
                             f"route add {MACHINE} via 10.78.{link.number}.1"]
            inside["phone"].append(
                f"route add default via 10.77.{link.number}.1 dev {name} metric {link.metric}")
        run("ip", "-batch", "-", lines=wires)
        for name, lines in inside.items():
            run("ip", "-n", self.names[name], "-batch", "-", lines=lines)

    def inside(self, name, command):
        """`command`, to be run in one of the namespaces."""
        return ["ip", "netns", "exec", self.names[name], *command]

    # ---- what happens to the phone

    def route(self, name, metric):
        """Its default route through `name`, alone with that device."""
        via = ["default", "via", f"10.77.{LINKS[name].number}.1", "dev", name]
        self.ip("phone", "route", "add", *via, "metric", str(metric))
        if metric != LINKS[name].metric:
            self.ip("phone", "route", "del", *via, "metric", str(LINKS[name].metric))

    def switch_off(self, name):
        self.ip("phone", "link", "set", name, "down")

    def switch_on(self, name):
        self.ip("phone", "link", "set", name, "up")
        self.route(name, LINKS[name].metric)

    def take_address(self, name):
        self.ip("phone", "addr", "del", f"10.77.{LINKS[name].number}.2/24", "dev", name)

    # ---- the programs of its world

    def relay(self, tern, name, ports, *flags):
        """The command line of the router `name`: from each of the public `ports` to the server's."""
        routes = [word for port in ports
                  for word in ("-l", f"{PUBLIC}:{port}", "-t", f"{MACHINE}:{port}")]
        return self.inside(name, [tern, "relay", "--json", "--udp", *routes, *LINKS[name].flags,
                                  *flags])
