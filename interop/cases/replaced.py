"""Real clients across what operators do: the server process is replaced while they download, and a
load balancer is in front of several machines."""

import os
import pathlib
import re
import signal
import time

from cases.gtls_client import gtlsclient
from cases.http_clients import curl
from harness.browser import chromium
from harness.matrix import LARGE, case, digest, expect_answer
from harness.process import NotRun, check, free_port, wait_for_quic
from harness.relay import Relay
from harness.tern import Serving, last_lines, wait_for_text

HANDED_OVER = r"\bhanded over\b"
PATIENCE = 30.0


def tern(run):
    if run.subject.name != "tern":
        raise NotRun("nothing stands in for tern here")
    return run.subject


def counters(process):
    """What `tern serve` prints on SIGUSR1."""
    before = process.text().count("\ncounters")
    process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + PATIENCE
    while process.text().count("\ncounters") == before or not process.text().endswith("\n"):
        check(time.monotonic() < deadline, f"{process.name} prints no counters")
        time.sleep(0.02)
    last = process.text().rsplit("\ncounters", 1)[1]
    return {name: int(value.replace(",", "")) for name, value in
            re.findall(r"^  ([\w.]+) +([\d,]+)$", last, re.MULTILINE)}


class Generations:
    """`tern serve --handover` on one port, one process after the other."""

    def __init__(self, run, root):
        self.run, self.root = run, root
        self.port = free_port()
        self.processes = []

    def start(self, workers):
        """One more takes over from the last."""
        run = self.run
        process = run.start(
            f"tern-serve-{len(self.processes) + 1}",
            [tern(run).path, "serve", self.root, "--listen", f"[::]:{self.port}",
             "--cert", run.certs.cert, "--key", run.certs.key, "--workers", str(workers),
             "--handover", run.folder / "handover"], on_stop=self._stop)
        if self.processes:
            wait_for_text(self.processes[-1], HANDED_OVER, PATIENCE)
            check(self.processes[-1].status is None, "it has no connection left: nothing was tried")
        else:
            wait_for_quic(process, self.port)
        self.processes.append(process)

    def _stop(self, process):
        """Those that were replaced have ended by themselves; the last is drained."""
        if process is self.processes[-1]:
            self.run.subject.drained(process)
            return
        status = process.wait(PATIENCE)
        process.stop()
        check(status == 0, f"{process.name} ended with {status}: {last_lines(process.text())}")


def across(run, client, workers):
    """`client` downloads at a steady rate while servers with so many workers each take over."""
    tern(run)
    servers = Generations(run, run.site)
    servers.start(workers[0])
    port = chromium(run).ports.popleft() if client is chromium_download else None
    # The download takes 5 s, whatever the machine does.
    relay = Relay(run, servers.port, "--delay", "5ms", "--rate", "8mbps", port=port)

    def replace():
        for count in workers[1:]:
            begun, deadline = relay.counters()["to_client"]["bytes"], time.monotonic() + PATIENCE
            while relay.counters()["to_client"]["bytes"] < begun + 250_000:
                check(time.monotonic() < deadline, "the download does not go on")
                time.sleep(0.02)
            servers.start(count)

    client(run, relay.serving(), replace)
    newest = servers.processes[-1]
    seen = counters(newest)
    check(seen["server.forwarded"] > 0, "the new process forwarded nothing to the old one")
    check(seen.get("quic.stateless_resets_sent", 0) == 0, "it reset connections of the old one")
    # And it takes new ones.
    gtlsclient(run, Serving(servers.port, newest), paths=[f"/{LARGE}"])


def gtls_download(run, server, meanwhile):
    gtlsclient(run, server, paths=[f"/{LARGE}"], meanwhile=meanwhile)


def curl_download(run, server, meanwhile):
    [(status, body)] = curl(run, server, "-4", paths=[f"/{LARGE}"], meanwhile=meanwhile)
    check(status == 200 and digest(body) == digest((run.site / LARGE).read_bytes()),
          f"{status}, {len(body)} bytes, or the wrong ones")


def chromium_download(run, server, meanwhile):
    seen = chromium(run).drive("browser_fetch", {"url": f"https://127.0.0.1:{server.port}/{LARGE}"}, meanwhile=meanwhile)
    expect_answer(seen, (run.site / LARGE).read_bytes())


for _workers in ((1, 3), (3, 1), (1, 3, 1)):
    case(f"handover/gtlsclient-{'-'.join(map(str, _workers))}", "gtls", client=gtls_download,
         workers=_workers)(across)
for _workers in ((1, 3), (3, 1, 3)):
    case(f"handover/curl-{'-'.join(map(str, _workers))}", "curl", client=curl_download,
         workers=_workers)(across)
case("handover/chromium-1-3", "chromium", client=chromium_download, workers=(1, 3))(across)


def load_balancer(run):
    """The example program, of the same build as tern."""
    path = os.environ.get("LOAD_BALANCER") or run.subject.path.parent / "examples/load_balancer"
    if not pathlib.Path(path).exists():
        raise NotRun(f"{path} is not built")
    return path


@case("balancer/gtlsclient-migration", "gtls")
def balanced_migration(run):
    """The balancer finds a client's machine by its connection ID from the new address as well."""
    path = load_balancer(run) if tern(run) else None
    key = run.folder / "cid.key"
    key.write_text("8f95f09245765f80256934e50c66207f\n")
    machines = {}
    for machine in ("01", "2f"):
        port = free_port()
        machines[machine] = Serving(port, run.start(
            f"tern-serve-{machine}",
            [run.subject.path, "serve", run.site, "--listen", f"127.0.0.1:{port}", "--cert",
             run.certs.cert, "--key", run.certs.key, "--server-id", machine, "--cid-key", key,
             "--workers", "2"], on_stop=run.subject.drained))
        wait_for_quic(machines[machine].process, port)
    port = free_port()
    balancer = run.start("load-balancer", [path, f"127.0.0.1:{port}", key, *(
        f"{machine}=127.0.0.1:{server.port}" for machine, server in machines.items())])
    wait_for_quic(balancer, port)
    clients = 8
    for _ in range(clients):
        log = gtlsclient(run, Serving(port, balancer), "--change-local-addr=1ms",
                         paths=[f"/{LARGE}"])
        check(len(log.paths()) == 2, f"paths {log.paths()}")
        check(log.path_validated, "the new path was not validated")
    seen = [counters(server.process) for server in machines.values()]
    accepted = [counts["quic.connections_accepted"] for counts in seen]
    check(sum(accepted) == clients, f"the machines accepted {accepted}")
    for counts in seen:
        check(counts["quic.dropped.no_connection"] == 0, "datagrams for the other machine came")
        check(counts["quic.paths_changed"] >= counts["quic.connections_accepted"],
              f"{counts['quic.paths_changed']} migrations")
