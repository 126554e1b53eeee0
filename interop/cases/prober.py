"""`tern interop` against the servers here, standing in for public ones: the exact matrix of each.

What is expected is what the prober found, held against what is known of the servers;
prober_control.py has gtlsclient judge most of it as well.
"""

import dataclasses
import platform
import sys

from cases.runtimes import go_server, hypercorn
from harness import servers
from harness.matrix import SMALL, case, pattern
from harness.process import INTEROP, check, free_port, wait_for_quic, wait_for_tcp

ORDER = "VHCSQ2cGD3dTRZUMBAFEgXW"
DEBIAN = int(platform.freedesktop_os_release()["VERSION_ID"])
DOWNLOAD = 5_000_000  # what the throughput case asks for


@dataclasses.dataclass(frozen=True)
class Expected:
    """Letters of cases by their outcome; what is not named is unsupported."""
    passes: str
    fails: str = ""
    not_applicable: str = ""

    def outcome(self, letter):
        if letter in self.passes:
            return "pass"
        if letter in self.not_applicable:
            return "not applicable"
        return "fail" if letter in self.fails else "unsupported"


EXPECTED = {
    # quic-go: no ECN, no QPACK dynamic table; it forbids migration. Debian 12's of 2022 has no v2
    # but its draft, no extended CONNECT, and drops what comes from a new port.
    "caddy": Expected("VHCQcGD3TRZU" if DEBIAN < 13 else "VHCQ2cGD3TRZUBX"),
    "gtlsserver": Expected("VHCQ2cGD3dTRZUMBAE"),
    # With OpenSSL's compatibility layer: no 0-RTT. No v2, no ECN.
    "nginx": Expected("VHCQcGD3dTRUMBA"),
    # It forbids migration, and answers a new port with a stateless reset, which RFC 9000 §9
    # forbids. With limited-quic: no 0-RTT. No QPACK dynamic table.
    "haproxy": Expected("VHCQ2cGD3TRU", fails="B"),
    # lsquic: everything but what Bun turns off.
    "bun": Expected("VHCQ2cGD3dTRUMBA"),
    # It queues the answer to a PATH_CHALLENGE for the path it came on, and writes those of the path
    # in use alone (aioquic 1.2, quic/connection.py): who probes a new path first hears nothing, and
    # from here that looks like an address without a way back. No ECN.
    "aioquic": Expected("VHCQ2cGD3dTRZUBgXW", fails="M", not_applicable="A"),
    # The same library, without tickets and datagrams.
    "hypercorn": Expected("VHCQ2cGD3dUBX", fails="M", not_applicable="AT"),
    # quic-go 0.50: it forbids migration, and follows a NAT all the same.
    "go": Expected("VHCQ2cGD3RZUBEX", not_applicable="T"),
}


def site(run):
    root = run.folder / "www"
    root.mkdir()
    (root / SMALL).write_bytes(b"a small file\n")
    (root / str(DOWNLOAD)).write_bytes(pattern(DOWNLOAD))
    return root


def start(run, name, **options):
    """One of servers.SERVERS with a small site; returns its port."""
    port, root, origin = free_port(), site(run), None
    if name == "haproxy":
        origin_port = free_port()
        backend = run.start("origin", [sys.executable, INTEROP / "drivers/origin.py",
                                       str(origin_port), root])
        wait_for_tcp(backend, origin_port)
        origin = f"127.0.0.1:{origin_port}"
    launch = servers.server(name)(run.folder, port, root, run.certs, origin=origin, **options)
    process = run.start(name, launch.command, env=launch.env)
    wait_for_quic(process, port)
    return port


@case("prober/hypercorn", "hypercorn", 13, name="hypercorn", server=hypercorn)
@case("prober/go", "go", name="go", server=lambda run: go_server(run)[0])
def programs_matrix(run, name, server):
    """Servers without a file of 5 MB for the throughput."""
    endpoint, status = run.subject.probe(run, f"https://127.0.0.1:{server(run)}/{SMALL}")
    expect(endpoint, EXPECTED[name], ORDER)
    check(endpoint["mandatory_passed"] and status == 0, f"exit status {status}")


def expect(endpoint, expected, letters):
    found = {one["letter"]: one for one in endpoint["cases"]}
    check(list(found) == list(letters), f"the cases are {''.join(found)}")
    for letter, one in found.items():
        wanted = expected.outcome(letter)
        check(one["outcome"] == wanted,
              f"{letter} {one['name']}: {one['outcome']} ({one['detail']}) instead of {wanted}")


@case("prober/caddy", "caddy", name="caddy")
@case("prober/gtlsserver", "gtls", name="gtlsserver")
@case("prober/nginx", "nginx", name="nginx")
@case("prober/haproxy", "haproxy", name="haproxy")
@case("prober/bun", "bun", name="bun")
@case("prober/aioquic", "aioquic", 9, name="aioquic")
def whole_matrix(run, name):
    port = start(run, name)
    endpoint, status = run.subject.probe(
        run, f"https://127.0.0.1:{port}/{SMALL}", "--throughput-path", "/{size}")
    expect(endpoint, EXPECTED[name], ORDER)
    check(endpoint["mandatory_passed"] and status == 0, f"exit status {status}")


@case("prober/gtlsserver-retry", "gtls", name="gtlsserver", flags=["--validate-addr"])
@case("prober/aioquic-retry", "aioquic", name="aioquic", flags=["--retry"])
def retry(run, name, flags):
    port = start(run, name, flags=flags)
    endpoint, status = run.subject.probe(run, f"https://127.0.0.1:{port}/{SMALL}",
                                         "--tests", "HSD3RB")
    expect(endpoint, Expected("HSD3RB"), "HSD3RB")
    check(status == 0, f"exit status {status}")


@case("prober/preferred-address", "gtls")
def preferred_address(run):
    other = free_port()
    port = start(run, "gtlsserver", flags=[f"--preferred-ipv4-addr=127.0.0.1:{other}"])
    endpoint, _ = run.subject.probe(run, f"https://127.0.0.1:{port}/{SMALL}", "--tests", "F")
    expect(endpoint, Expected("F"), "F")
    detail = endpoint["cases"][0]["detail"]
    check(detail == f"moved to 127.0.0.1:{other}", detail)
