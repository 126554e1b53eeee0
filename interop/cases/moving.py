"""`tern get` on a phone that moves between two networks, from servers that nobody here wrote.

What each server lets a client do: nginx and gtlsserver follow it. haproxy and Debian's caddy say
`disable_active_migration`, so the client makes a new connection over the other network and asks again.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

from harness import servers
from harness.matrix import HUGE, LARGE, case, digest
from harness.phone import LINKS, MACHINE, PUBLIC, Phone
from harness.process import INTEROP, NotRun, check, free_port
from harness.tern import last_lines, wait_for_text

PATIENCE = 40.0
FOLLOWS = ("nginx", "gtlsserver")


def wait_for_udp(process, phone, port, timeout=15.0):
    """Until somebody has the port in the server's namespace."""
    deadline = time.monotonic() + timeout
    while not subprocess.run(phone.inside("server", ["ss", "-Huln", f"sport = :{port}"]),
                             capture_output=True, check=True).stdout:
        check(process.status is None and time.monotonic() < deadline,
              f"{process.name} does not listen: {process.tail()}")
        time.sleep(0.05)


def tern(run):
    if run.subject.name != "tern":
        raise NotRun("nothing stands in for the relays")
    return run.subject.path


class Town:
    """A server of `name` behind both networks of a phone, and `tern get` on it."""

    def __init__(self, run, phone, name, paths):
        self.run, self.phone, self.port = run, phone, free_port()
        self._serve(name, paths)
        self.relays = {each: run.start(f"relay-{each}", phone.relay(tern(run), each, [self.port]))
                       for each in LINKS}
        for relay in self.relays.values():
            wait_for_text(relay, '"listening"')

    def _serve(self, name, paths):
        run, origin = self.run, None
        if name == "haproxy":  # it has no files of its own
            origin_port = free_port()
            run.start("origin", self.phone.inside("server", [
                sys.executable, INTEROP / "drivers/origin.py", str(origin_port), run.site]))
            origin = f"127.0.0.1:{origin_port}"
        launch = servers.server(name)(run.folder, self.port, run.site, run.certs, origin=origin)
        for file, before, after in (
                ("nginx.conf", f"127.0.0.1:{self.port}", f"{MACHINE}:{self.port}"),
                ("nginx.conf", "quic_gso on;", f"quic_gso on; quic_active_connection_id_limit {paths};"),
                ("haproxy.cfg", f"127.0.0.1:{self.port}", f"{MACHINE}:{self.port}"),
                ("Caddyfile", f"https://:{self.port} {{", f"https://:{self.port} {{\n\tbind {MACHINE}")):
            config = run.folder / file
            if config.exists():
                config.write_text(config.read_text().replace(before, after))
        process = run.start(name, self.phone.inside("server", launch.command), env=launch.env)
        wait_for_udp(process, self.phone, self.port)

    def get(self, act, name):
        """What `tern get -v` says while `act(phone, town)` happens in the middle of a download, which must be whole."""
        run = self.run
        [output] = run.outputs(1)
        command = [tern(run), "get", "-v", "--http3-only", "--cacert", run.certs.ca, "--resolve",
                   f"localhost:{self.port}:{PUBLIC}", "-o", output, f"https://localhost:{self.port}/{name}"]
        status, text = run.run("tern-get", self.phone.inside("phone", command), timeout=PATIENCE,
                               meanwhile=lambda: self._disturb(output, act))
        check(status == 0, f"tern get exited with {status}: {last_lines(text)}")
        check(digest(output.read_bytes()) == digest((run.site / name).read_bytes()),
              f"{output.stat().st_size} bytes, or the wrong ones: {last_lines(text)}")
        return text

    def _disturb(self, output, act):
        deadline = time.monotonic() + PATIENCE
        while not output.exists() or output.stat().st_size < 1_000_000:
            check(time.monotonic() < deadline, "the download does not begin")
            time.sleep(0.01)
        act(self)

    def said(self, text, timeout=PATIENCE):
        """Waits until `tern get` has said so."""
        wait_for_text(self.run.processes[-1], text, timeout)

    # ---- what happens

    def switch_off(self):
        self.phone.switch_off("wifi0")

    def take_address(self):
        self.phone.take_address("wifi0")

    def silence(self):
        """The router of Wi-Fi takes packets and passes none on."""
        self.relays["wifi0"].send_signal(signal.SIGSTOP)

    def there_and_back(self):
        self.switch_off()
        self.said(r"path changed: 10\.77\.2\.2:")
        self.phone.switch_on("wifi0")

    def back_because_it_must(self):
        self.there_and_back()
        self.said("spare path: wifi0")
        self.phone.switch_off("wwan0")


def in_town(run, name, act, file=LARGE, paths=2):
    """What `tern get -v` says about `act` in the middle of its download. paths: how many of a client's nginx can have; 2 is its default."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        raise NotRun("network namespaces need root and iproute2")
    with Phone() as phone:
        town = Town(run, phone, name, paths)
        try:
            return town.get(act, file)
        finally:
            town.relays["wifi0"].send_signal(signal.SIGCONT)


def moves(run, name, act):
    """Wi-Fi is gone in one way or another; cellular is there."""
    text = in_town(run, name, act)
    connected, moved = text.count("* connected: "), text.count("* path changed: 10.77.2.2:")
    if name in FOLLOWS:
        check((connected, moved) == (1, 1), f"{connected} connections, {moved} moves: {text}")
        return
    # Once, on a busy machine, there was a third; why is not known.
    check(connected >= 2 and moved == 0, f"{connected} connections, {moved} moves: {text}")


for _name, _peer in (("nginx", "nginx"), ("gtlsserver", "gtls"), ("caddy", "caddy"),
                     ("haproxy", "haproxy")):
    for _what, _act in (("off", Town.switch_off), ("address", Town.take_address),
                        ("silent", Town.silence)):
        case(f"moving/{_name}-{_what}", _peer, beside=4, name=_name, act=_act)(moves)


@case("moving/nginx-stuck", "nginx", beside=14)
def stuck(run):
    """nginx keeps two of a client's connection IDs for the two paths that it knows, and by default takes no third one; so it drops what
    comes from a third path. Who has to go there makes a new connection, and does not wait for the old one's idle timeout."""
    text = in_town(run, "nginx", Town.back_because_it_must, HUGE)
    check(text.count("* connected: ") == 2, f"connections: {text}")
    check("connecting anew: the server has not followed" in text and "idle timeout" not in text, f"why: {text}")


@case("moving/nginx-back", "nginx", beside=8, name="nginx", act=Town.there_and_back)
@case("moving/nginx-must-back", "nginx", beside=8, name="nginx", act=Town.back_because_it_must)
@case("moving/gtlsserver-back", "gtls", beside=8, name="gtlsserver", act=Town.there_and_back)
@case("moving/gtlsserver-must-back", "gtls", beside=8, name="gtlsserver", act=Town.back_because_it_must)
def back(run, name, act):
    """Wi-Fi goes and comes again: there and back on one connection."""
    text = in_town(run, name, act, HUGE, paths=8)
    check(text.count("* connected: ") == 1, f"more than one connection: {text}")
    moves = [line for line in text.splitlines() if line.startswith("* path changed: ")]
    check("10.77.2.2" in moves[0] and any("10.77.1.2" in move for move in moves[1:]), f"moves: {moves}")
