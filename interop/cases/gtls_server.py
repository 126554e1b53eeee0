"""`tern get` against gtlsserver: QUIC feature by feature, proved by gtlsserver's own log."""

import time

from harness import servers
from harness.gtls import CHACHA20, V1, V2, GtlsLog
from harness.matrix import HUGE, LARGE, SMALL, case
from harness.process import check, free_port, wait_for_quic
from harness.tern import Fetch


class GtlsServer:
    """A gtlsserver with the test site; `fetch` runs the subject and returns the new log."""

    def __init__(self, case, *flags):
        self.case = case
        self.port = free_port()
        launch = servers.gtlsserver(case.folder, self.port, case.site, case.certs, log=True,
                                    flags=["--timeout=10s", *flags])
        self.process = case.start("gtlsserver", launch.command)
        wait_for_quic(self.process, self.port)

    def url(self, path):
        return f"https://localhost:{self.port}{path}"

    def fetch(self, *paths, **options):
        before = len(self.process.text())
        fetched = self.case.subject.get(
            self.case, Fetch([self.url(path) for path in paths], **options), self.port)
        fetched.expect_success()
        for path, body in zip(paths, fetched.files):
            check(body == (self.case.site / path[1:]).read_bytes(), f"{path} arrived wrong")
        log = GtlsLog(self.process.text()[before:])
        check(log.handshakes == 1, f"{log.handshakes} handshakes at the server")
        return log


@case("gtlsserver/get", "gtls")
def gtlsserver_get(run):
    log = GtlsServer(run).fetch(f"/{SMALL}")
    check(log.versions("rx", "Handshake") == {V1}, f"versions {log.versions('rx', 'Handshake')}")


@case("gtlsserver/transfer", "gtls")
@case("gtlsserver/transfer-epoll", "gtls", engine="epoll")
def gtlsserver_transfer(run, **options):
    GtlsServer(run).fetch(f"/{LARGE}", **options)


@case("gtlsserver/many", "gtls")
@case("gtlsserver/parallel", "gtls", parallel=True)
def gtlsserver_many(run, **options):
    GtlsServer(run).fetch(*[f"/bytes/{1000 + i}" for i in range(100)], **options)


@case("gtlsserver/loss", "gtls")
def gtlsserver_loss(run):
    GtlsServer(run, "--tx-loss=0.03", "--rx-loss=0.03").fetch(f"/{LARGE}")


@case("gtlsserver/retry", "gtls")
def gtlsserver_retry(run):
    server = GtlsServer(run, "--validate-addr")
    before = len(server.process.text())
    server.fetch(f"/{SMALL}")
    check(GtlsLog(server.process.text()[before:]).has(r"(?i)retry"), "the server sent no Retry")


@case("gtlsserver/resumption", "gtls")
def gtlsserver_resumption(run):
    server = GtlsServer(run)
    session = run.folder / "session"
    first = server.fetch(f"/{SMALL}", session=session)
    second = server.fetch(f"/{SMALL}", session=session)
    check(0 < second.server_flight("tx") < first.server_flight("tx") - 200,
          f"the session was not resumed ({first.server_flight('tx')} and "
          f"{second.server_flight('tx')} bytes of Handshake CRYPTO)")
    check(not second.zero_rtt_request("rx"), "early data without --early-data")


@case("gtlsserver/0rtt", "gtls")
def gtlsserver_zero_rtt(run):
    server = GtlsServer(run)
    session = run.folder / "session"
    server.fetch(f"/{SMALL}", session=session, early_data=True)
    # GnuTLS rejects early data whose ticket is said to be older than it is: it is used in the next second of the clock.
    time.sleep(1 - time.time() % 1)
    second = server.fetch(f"/{SMALL}", session=session, early_data=True)
    check(second.zero_rtt_request("rx"), "no request in 0-RTT reached the server")


@case("gtlsserver/key-update", "gtls")
def gtlsserver_key_update(run):
    log = GtlsServer(run).fetch(f"/{LARGE}", key_update=True)
    check(log.key_phase("rx") and log.key_phase("tx"),
          f"key phase 1: {log.key_phase('rx')} packets received, {log.key_phase('tx')} sent")


@case("gtlsserver/v2", "gtls")
def gtlsserver_v2(run):
    log = GtlsServer(run).fetch(f"/{SMALL}", version=2)
    for direction in ("rx", "tx"):
        check(log.versions(direction, "Handshake") == {V2},
              f"Handshake packets {direction}: {log.versions(direction, 'Handshake')}")


@case("gtlsserver/v2-compatible", "gtls")
def gtlsserver_v2_compatible(run):
    """A server that prefers v2 moves a client that starts with v1 but lists v2 as well."""
    log = GtlsServer(run, "--preferred-versions=v2,v1").fetch(f"/{SMALL}")
    check(V1 in log.versions("rx", "Initial"), "the client did not start with v1")
    check(log.versions("rx", "Handshake") == {V2}, f"versions {log.versions('rx', 'Handshake')}")


@case("gtlsserver/chacha20", "gtls")
def gtlsserver_chacha20(run):
    log = GtlsServer(run, f"--ciphers={CHACHA20}").fetch(f"/{LARGE}")
    check(log.cipher == "CHACHA20-POLY1305", f"cipher {log.cipher}")


@case("gtlsserver/chacha20-only", "gtls")
def gtlsserver_chacha20_only(run):
    log = GtlsServer(run).fetch(f"/{SMALL}", chacha20=True)
    check(log.cipher == "CHACHA20-POLY1305", f"cipher {log.cipher}")


@case("gtlsserver/migration", "gtls")
def gtlsserver_migration(run):
    # Some loss keeps the server's window small, and there are several tries: with a thousand packets
    # on the way on the old path, a reordering of the two paths at the client outruns the server's
    # one-byte packet numbers, and the transfer may end before the next PATH_CHALLENGE.
    log = GtlsServer(run, "--tx-loss=0.01").fetch(
        f"/{HUGE}", migrate_at=["1MB", "4MB", "7MB", "10MB", "13MB"])
    check(len(log.remotes()) >= 2, f"packets came only from {log.remotes()}")
    check(log.frames("rx", "PATH_RESPONSE") >= 1, "the client answered no PATH_CHALLENGE")
