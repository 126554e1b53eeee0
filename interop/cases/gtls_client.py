"""gtlsclient against `tern serve`: QUIC feature by feature, proved by gtlsclient's own log."""

import re

from harness.gtls import CHACHA20, V1, V2, GtlsLog
from harness.matrix import LARGE, SMALL, case
from harness.process import check, free_port, peer_path, probe, version_probe
from harness.tern import last_lines


def gtlsclient(case, server, *flags, paths, succeed=True, meanwhile=None):
    """Runs gtlsclient; returns its log, after checking the bodies against the test site's files.

    meanwhile: called while it runs.
    """
    downloads = case.folder / f"downloads-{len(case.processes)}"
    downloads.mkdir()
    qlog = [f"--qlog-file={downloads}.sqlog"] if case.qlog else []
    command = [peer_path("gtlsclient"), "--no-quic-dump", "--no-http-dump", "--timeout=10s",
               "--handshake-timeout=10s", "--exit-on-all-streams-close", f"--download={downloads}",
               "--sni=localhost", *qlog, *flags, "127.0.0.1", str(server.port),
               *(server.url(path) for path in paths)]
    status, text = case.run("gtlsclient", command, timeout=45, meanwhile=meanwhile)
    log = GtlsLog(text)
    if succeed:
        errors = re.findall(r"ERR_\w+|HTTP stream .* closed with error code (?!256\b).*", text)
        why = errors[-1] if errors else last_lines(text, 2)
        check(status == 0, f"gtlsclient exited with {status}: {why}")
        check(log.handshakes == 1, f"{log.handshakes} handshakes")
        check(log.has("Negotiated ALPN is h3"), "the ALPN is not h3")
        check(log.statuses and set(log.statuses) == {200}, f"statuses {sorted(set(log.statuses))}")
        for path in {path for path in paths if (case.site / path[1:]).is_file()}:
            body = downloads / path[1:]
            check(body.exists() and body.read_bytes() == (case.site / path[1:]).read_bytes(),
                  f"{path} is not what the server has")
    return log


# Flags that keep a session and its transport parameters for a later connection.
def keep_session(case):
    return [f"--session-file={case.folder}/session.pem", f"--tp-file={case.folder}/session.tp",
            "--wait-for-ticket"]


GTLS_SMALL, GTLS_LARGE = [f"/{SMALL}"], [f"/{LARGE}"]


def gtls_handshake(run, server):
    log = gtlsclient(run, server, paths=GTLS_SMALL)
    check(log.versions("rx", "Handshake") == {V1}, f"versions {log.versions('rx', 'Handshake')}")
    check(log.retries("rx") == 0, "the server sent a Retry nobody asked for")


def gtls_transfer(run, server):
    log = gtlsclient(run, server, paths=GTLS_LARGE)
    check(log.has("path is ECN capable"), "ECN did not validate on the path")
    sizes = [int(size) for size in re.findall(r"Received packet: .* (\d+) bytes", log.text)]
    check(max(sizes) > 1350, f"no PMTU discovery: the server sent at most {max(sizes)} bytes")


def gtls_many_streams(run, server):
    log = gtlsclient(run, server, "--nstreams=1000", paths=GTLS_SMALL)
    check(len(log.statuses) == 1000, f"{len(log.statuses)} answers to 1000 requests")


def gtls_loss(run, server):
    gtlsclient(run, server, "--tx-loss=0.03", "--rx-loss=0.03", paths=GTLS_LARGE)


def gtls_connections(run, server):
    for _ in range(20):
        gtlsclient(run, server, paths=GTLS_SMALL)


def gtls_retry(run, server):
    log = gtlsclient(run, server, paths=GTLS_SMALL)
    check(log.retries("rx") == 1, f"{log.retries('rx')} Retry packets")
    check(log.has("remote transport_parameters retry_source_connection_id="),
          "no retry_source_connection_id")


def gtls_new_token(run, server):
    token = f"--token-file={run.folder}/token"
    first = gtlsclient(run, server, token, paths=GTLS_SMALL)
    check(first.retries("rx") == 1, f"{first.retries('rx')} Retry packets")
    check(first.frames("rx", "NEW_TOKEN") >= 1, "no NEW_TOKEN")
    second = gtlsclient(run, server, token, paths=GTLS_SMALL)
    check(second.retries("rx") == 0, "the token of NEW_TOKEN did not spare the Retry")


def gtls_resumption(run, server):
    keep = keep_session(run)
    first = gtlsclient(run, server, *keep, paths=GTLS_SMALL)
    for _ in range(4):  # with several workers, some of them never saw the first connection
        second = gtlsclient(run, server, *keep, "--disable-early-data", paths=GTLS_SMALL)
        check(not second.zero_rtt_request("tx"), "early data although it is disabled")
        check(0 < second.server_flight("rx") < first.server_flight("rx") - 200,
              f"the server sent its certificate again ({first.server_flight('rx')} and "
              f"{second.server_flight('rx')} bytes of Handshake CRYPTO)")


def gtls_zero_rtt(run, server):
    keep = keep_session(run)
    gtlsclient(run, server, *keep, paths=GTLS_SMALL)
    for _ in range(4):
        log = gtlsclient(run, server, *keep, paths=GTLS_SMALL)
        check(log.zero_rtt_request("tx"), "gtlsclient sent no request in 0-RTT: the ticket or the "
              "remembered transport parameters do not allow early data")
        check(not log.has("(?i)early data was rejected") and not log.requests_after_handshake("tx"),
              "the server rejected the early data")


def gtls_key_update(run, server):
    log = gtlsclient(run, server, "--key-update=1ms", "--delay-stream=10ms", paths=GTLS_LARGE)
    check(log.key_phase("tx") and log.key_phase("rx"),
          f"key phase 1: {log.key_phase('tx')} packets sent, {log.key_phase('rx')} received")
    check(log.key_update_confirmed, "the key update was not confirmed")


def gtls_v2(run, server):
    log = gtlsclient(run, server, "--version=v2", paths=GTLS_SMALL)
    check(log.versions("rx", "Handshake") == {V2}, f"versions {log.versions('rx', 'Handshake')}")


def gtls_v2_compatible(run, server):
    log = gtlsclient(run, server, "--available-versions=v2,v1", "--preferred-versions=v2,v1",
                     paths=GTLS_SMALL)
    check(V1 in log.versions("tx", "Initial"), "the client did not start with v1")
    for direction in ("tx", "rx"):
        check(log.versions(direction, "Handshake") == {V2},
              f"Handshake packets {direction}: {log.versions(direction, 'Handshake')}")


def gtls_version_negotiation(run, server):
    log = gtlsclient(run, server, "--version=0xaaaaaaaa", paths=GTLS_SMALL, succeed=False)
    sent = re.search(r"pkt tx .*dcid=(\S+) scid=(\S+) version=0xaaaaaaaa", log.text)
    answer = re.search(r"pkt rx .*dcid=(\S+) scid=(\S+) version=0x00000000 type=VN", log.text)
    check(answer, "no Version Negotiation packet")
    check(sent.groups() == answer.groups()[::-1], "the connection IDs are not the client's, swapped")


def gtls_chacha20(run, server):
    log = gtlsclient(run, server, f"--ciphers={CHACHA20}", paths=GTLS_LARGE)
    check(log.cipher == "CHACHA20-POLY1305", f"cipher {log.cipher}")


def gtls_chacha20_only(run, server):
    log = gtlsclient(run, server, paths=GTLS_SMALL)
    check(log.cipher == "CHACHA20-POLY1305", f"cipher {log.cipher}")


def gtls_migration(run, server):
    log = gtlsclient(run, server, "--change-local-addr=1ms", paths=GTLS_LARGE)
    check(len(log.paths()) == 2, f"paths {log.paths()}")
    check(log.path_validated, "the new path was not validated")
    check(log.frames("rx", "PATH_RESPONSE") >= 1, "no PATH_RESPONSE from the server")


GTLS = {"handshake": gtls_handshake, "transfer": gtls_transfer, "many-streams": gtls_many_streams,
        "loss": gtls_loss, "connections": gtls_connections, "retry": gtls_retry,
        "new-token": gtls_new_token, "resumption": gtls_resumption, "0rtt": gtls_zero_rtt,
        "key-update": gtls_key_update, "v2": gtls_v2, "v2-compatible": gtls_v2_compatible,
        "version-negotiation": gtls_version_negotiation, "chacha20": gtls_chacha20,
        "chacha20-only": gtls_chacha20_only,
        "migration": gtls_migration}
GTLS_SERVING = {"retry": {"retry": True}, "new-token": {"retry": True},
                "v2-compatible": {"v2": True}, "chacha20-only": {"chacha20": True}}
GTLS_VARIANTS = {
    "epoll": ({"engine": "epoll"},
              ["handshake", "transfer", "many-streams", "0rtt", "key-update", "migration"]),
    "workers": ({"workers": 2},
                ["transfer", "connections", "retry", "resumption", "0rtt", "migration"]),
}


def gtls_case(run, what, serving):
    GTLS[what](run, run.subject.serve(run, root=run.site, **serving))


for _what in GTLS:
    case(f"gtlsclient/{_what}", "gtls", what=_what,
         serving=GTLS_SERVING.get(_what, {}))(gtls_case)
for _variant, (_serving, _names) in GTLS_VARIANTS.items():
    for _what in _names:
        case(f"gtlsclient/{_what}-{_variant}", "gtls", what=_what,
             serving={**GTLS_SERVING.get(_what, {}), **_serving})(gtls_case)


@case("gtlsclient/preferred-address", "gtls")
def gtls_preferred_address(run):
    port = free_port()
    log = gtlsclient(run, run.subject.serve(run, root=run.site, preferred_port=port),
                     paths=GTLS_LARGE)
    check(log.remotes()[-1] == f"[127.0.0.1]:{port}", f"packets came from {log.remotes()}")
    check(log.path_validated, "the preferred address was not validated")


@case("gtlsclient/post", "gtls")
def gtls_post(run, *flags, server=None, **serving):
    server = server or run.subject.serve(run, **serving)
    log = gtlsclient(run, server, f"--data={run.site / LARGE}", "--http-method=POST", *flags,
                     paths=["/echo"])
    [echoed] = run.folder.glob("downloads-*/echo")
    check(echoed.read_bytes() == (run.site / LARGE).read_bytes(),
          f"{echoed.stat().st_size} bytes came back, or the wrong ones")
    return log


@case("gtlsclient/nat-rebinding", "gtls")
@case("gtlsclient/nat-rebinding-epoll", "gtls", engine="epoll")
@case("gtlsclient/nat-rebinding-workers", "gtls", workers=2)
def gtls_nat_rebinding(run, **serving):
    """An upload, because only a client that has something to send tells the server its new address."""
    log = gtls_post(run, "--change-local-addr=1ms", "--nat-rebinding", **serving)
    check(len(log.paths()) == 2, f"paths {log.paths()}")
    check(log.frames("rx", "PATH_CHALLENGE") >= 1, "the server did not validate the new path")


@case("probe/wait", "gtls")
def runner_probe(run):
    """The readiness probe of the QUIC interop runner: version "WAIT", empty connection IDs."""
    server = run.subject.serve(run, root=run.site)
    datagram = version_probe(dcid=b"", scid=b"")
    check(datagram[:7] == bytes.fromhex("c0574149540000") and len(datagram) == 1207, "bad probe")
    for host in ("127.0.0.1", "::1"):
        answer = probe(server.port, datagram, 2.0, host)
        check(answer is not None, f"no answer on {host}")
        check(answer[0] & 0x80 and answer[1:5] == bytes(4), f"another packet: {answer[:16]}")
        check(answer[5:7] == bytes(2), f"connection IDs are not empty: {answer[5:7]}")
        versions = {"0x" + answer[i:i + 4].hex() for i in range(7, len(answer), 4)}
        check({V1, V2} <= versions, f"offers only {sorted(versions)} on {host}")
