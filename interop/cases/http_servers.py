"""`tern get` against caddy, nginx, haproxy and bun as HTTP/3 servers."""

import re
import sys

from harness import servers
from harness.matrix import HUGE, LARGE, POSTED, POSTED_TYPE, SMALL, case, digest, pattern
from harness.process import INTEROP, check, free_port, wait_for_quic, wait_for_tcp
from harness.tern import EXIT_HTTP_ERROR, Fetch, last_lines


def start_origin(case):
    """What answers POST /echo behind servers that cannot; its host and port."""
    port = free_port()
    backend = case.start("origin", [sys.executable, INTEROP / "drivers/origin.py", str(port),
                                    case.site])
    wait_for_tcp(backend, port)
    return f"127.0.0.1:{port}"


def http3_server(case, name, prepare=None):
    """One of servers.SERVERS with the test site and POST /echo; returns (port, access log).

    prepare: called when the configuration is written, before the server starts.
    """
    port = free_port()
    origin = start_origin(case) if name in ("nginx", "haproxy") else None
    access_log = case.folder / "access.log"
    launch = servers.server(name)(case.folder, port, case.site, case.certs, origin=origin,
                                  log=access_log)
    if prepare:
        prepare()
    process = case.start(name, launch.command, env=launch.env)
    wait_for_quic(process, port)
    return port, access_log


def fetch_from(case, name, *paths, **options):
    port, access_log = http3_server(case, name)
    fetch = Fetch([f"https://localhost:{port}{path}" for path in paths], **options)
    return case.subject.get(case, fetch, port), access_log


def server_get(run, name):
    fetched, _ = fetch_from(run, name, f"/{SMALL}")
    [body] = fetched.expect_success().files
    check(body == (run.site / SMALL).read_bytes(), f"the body is {body[:80]!r}")


def server_large(run, name):
    fetched, _ = fetch_from(run, name, f"/{HUGE}")
    [body] = fetched.expect_success().files
    check(digest(body) == digest((run.site / HUGE).read_bytes()), f"{len(body)} bytes, wrong hash")


def server_post(run, name):
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)
    fetched, _ = fetch_from(run, name, "/echo", data=file, content_type=POSTED_TYPE)
    [body] = fetched.expect_success().files
    check(body == POSTED, f"{len(body)} bytes came back")


def server_head(run, name):
    fetched, _ = fetch_from(run, name, f"/{LARGE}", head=True)
    [head] = fetched.expect_success().files
    check(re.match(rb"HTTP/3 200\b", head), f"the status line is {head[:40]!r}")
    check(re.search(rb"(?im)^content-length: 5000000\s*$", head), f"no content-length in {head!r}")
    check(len(head) < 4000, "HEAD brought a body")


def server_missing(run, name):
    fetched, _ = fetch_from(run, name, "/no-such-page", fail=True)
    check(fetched.status == EXIT_HTTP_ERROR,
          f"exit status {fetched.status} for a 404 with --fail: {last_lines(fetched.text)}")


def server_many(run, name, parallel=False):
    """A hundred URLs on one connection."""
    fetched, access_log = fetch_from(run, name, *[f"/bytes/{1000 + i}" for i in range(100)],
                                     parallel=parallel)
    for i, body in enumerate(fetched.expect_success().files):
        check(body == pattern(1000 + i), f"/bytes/{1000 + i}: {len(body)} bytes")
    if name == "nginx":
        lines = access_log.read_text().splitlines()
        connections = {line.split()[0] for line in lines}
        check(len(lines) == 100, f"nginx logged {len(lines)} requests")
        check(len(connections) == 1, f"{len(connections)} connections")


SERVER_CHECKS = {"get": server_get, "20mb": server_large, "post": server_post,
                 "head": server_head, "404": server_missing, "many": server_many,
                 "parallel": lambda run, name: server_many(run, name, parallel=True)}
for _name in ("caddy", "nginx", "haproxy", "bun"):
    for _what, _function in SERVER_CHECKS.items():
        case(f"{_name if _name != 'bun' else 'bun-server'}/{_what}", _name, name=_name)(_function)
