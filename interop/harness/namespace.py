"""A network namespace with nothing but its own loopback interface, and nftables to spoil it with."""

import itertools
import os
import shutil
import subprocess

from harness.process import NotRun, check


class Namespace:
    """Gone when the block ends. Needs root, iproute2 and nftables."""

    _numbers = itertools.count(1)

    def __init__(self):
        self.name = f"tern-interop-{os.getpid()}-{next(Namespace._numbers)}"

    def __enter__(self):
        if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft"):
            raise NotRun("network namespaces need root, iproute2 and nftables")
        self._run("ip", "netns", "add", self.name)
        self._run(*self.command(["ip", "link", "set", "lo", "up"]))
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)

    def command(self, command):
        """`command`, to be run in here."""
        return ["ip", "netns", "exec", self.name, *command]

    @staticmethod
    def dropping_udp(port):
        """The command, to be run in here, that drops datagrams to the port from then on."""
        rules = (f"table inet tern-{port} {{ chain input {{ type filter hook input priority 0; "
                 f"udp dport {port} counter drop; }}; }}")
        return ["nft", rules]

    @staticmethod
    def passing_udp(port):
        """What undoes that."""
        return ["nft", "delete", "table", "inet", f"tern-{port}"]

    def drop_udp(self, port):
        """Nothing says so to the sender, as with a firewall that drops."""
        self._run(*self.command(self.dropping_udp(port)))

    def dropped(self, port):
        """How many packets drop_udp has kept away from it."""
        listing = self._run(*self.command(["nft", "list", "table", "inet", f"tern-{port}"]))
        return int(listing.split("counter packets ")[1].split()[0])

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout
