"""`tern get` over HTTP/2 and HTTP/1.1 from caddy, nginx, haproxy, Apache, lighttpd and Node.js, and over HTTP/1.0."""

import json
import os
import re
import signal
import sys
import time

from cases.http_servers import http3_server, start_origin
from harness import servers
from harness.matrix import HUGE, LARGE, POSTED, POSTED_TYPE, SMALL, case, digest, pattern
from harness.process import INTEROP, check, free_port, wait_for_tcp
from harness.tern import EXIT_HTTP_ERROR, Fetch, last_lines, wait_for_text

FLAGS = {"h2": "--http2", "h1": "--http1.1"}
SPOKEN = {"h2": "h2", "h1": "http/1.1"}
UPLOAD = pattern(10_000_000)


def server(run, name, prepare=None):
    """Its port. prepare: called when the configuration is written, before the server starts."""
    if name in servers.TCP_SERVERS:
        return tcp_server(run, name, prepare)
    if name != "node":
        return http3_server(run, name, prepare)[0]
    port = free_port()
    options = {"port": port, "cert": str(run.certs.cert), "key": str(run.certs.key),
               "root": str(run.site)}
    process = run.start("node", ["node", INTEROP / "drivers/node_server.mjs", json.dumps(options)])
    wait_for_text(process, "listening")
    return port


def tcp_server(run, name, prepare=None):
    port = free_port()
    launch = servers.TCP_SERVERS[name](run.folder, port, run.site, run.certs, start_origin(run))
    if prepare:
        prepare()
    wait_for_tcp(run.start(name, launch.command, env=launch.env), port)
    return port


def fetch_from(run, name, version, *paths, port=None, meanwhile=None, **options):
    port = port or server(run, name)
    fetch = Fetch([f"https://localhost:{port}{path}" for path in paths], protocol=FLAGS[version],
                  **options)
    return run.subject.get(run, fetch, port, meanwhile)


def connections(fetched, version):
    """How many there were; all of them spoke `version`."""
    spoken = fetched.spoken()
    check(set(spoken) == {SPOKEN[version]}, f"connections of {spoken}: {last_lines(fetched.text)}")
    return len(spoken)


def got(run, name, version, *paths, **options):
    fetched = fetch_from(run, name, version, *paths, **options).expect_success()
    return fetched, connections(fetched, version)


def server_get(run, name, version):
    fetched, _ = got(run, name, version, f"/{SMALL}")
    check(fetched.files == [(run.site / SMALL).read_bytes()], "another body")


def server_large(run, name, version):
    fetched, _ = got(run, name, version, f"/{HUGE}")
    [body] = fetched.files
    check(digest(body) == digest((run.site / HUGE).read_bytes()), f"{len(body)} bytes, wrong hash")


def server_post(run, name, version):
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)
    fetched, _ = got(run, name, version, "/echo", data=file, content_type=POSTED_TYPE)
    check(fetched.files == [POSTED], "another body came back")


def server_upload(run, name, version):
    file = run.folder / "upload.bin"
    file.write_bytes(UPLOAD)
    path = "/echo" if name == "node" else "/upload"
    fetched, _ = got(run, name, version, path, data=file)
    check(fetched.files == [UPLOAD], f"{len(fetched.files[0])} bytes came back")


def server_head(run, name, version):
    [head] = got(run, name, version, f"/{LARGE}", head=True)[0].files
    check(b" 200" in head.splitlines()[0], f"the status line is {head[:40]!r}")
    if name != "node":
        check(re.search(rb"(?im)^content-length: 5000000\s*$", head), f"no length in {head!r}")


def server_missing(run, name, version):
    fetched = fetch_from(run, name, version, "/no-such-page", fail=True)
    check(fetched.status == EXIT_HTTP_ERROR,
          f"exit status {fetched.status} for a 404 with --fail: {last_lines(fetched.text)}")


def server_range(run, name, version):
    whole = (run.site / LARGE).read_bytes()
    fetched, _ = got(run, name, version, f"/{LARGE}", flags=["-H", "range: bytes=1000-1999"])
    check(fetched.files == [whole[1000:2000]], f"{len(fetched.files[0])} bytes")


def server_redirect(run, name, version):
    fetched, count = got(run, name, version, "/old", flags=["--location"])
    check(fetched.files == [(run.site / SMALL).read_bytes()], "another body")
    check(count == 1, f"{count} connections")


def server_many(run, name, version):
    """A hundred URLs at once: on one connection of HTTP/2, on up to six of HTTP/1.1."""
    fetched, count = got(run, name, version, *[f"/bytes/{1000 + i}" for i in range(100)],
                         parallel=True)
    for i, body in enumerate(fetched.files):
        check(body == pattern(1000 + i), f"/bytes/{1000 + i}: {len(body)} bytes")
    if run.subject.name == "tern":  # curl takes more
        check(count == 1 if version == "h2" else 1 < count <= 6, f"{count} connections")


CHECKS = {"get": server_get, "20mb": server_large, "post": server_post, "upload": server_upload,
          "head": server_head, "404": server_missing, "range": server_range,
          "redirect": server_redirect, "parallel": server_many}
NO_RANGES = ("haproxy", "node")  # what is behind them here knows none
for _name in ("caddy", "nginx", "haproxy", "apache2", "lighttpd", "node"):
    for _version in FLAGS:
        for _what, _function in CHECKS.items():
            if _what == "range" and _name in NO_RANGES:
                continue
            case(f"{_name if _name != 'node' else 'node-server'}/{_version}-{_what}",
                 _name if _name != "node" else "chromium", name=_name,
                 version=_version)(_function)


# ---- servers that part with a connection -------------------------------------------------------

# How they are told to take seven requests on a connection: the line before, and after.
FEW = {"nginx": ("nginx.conf", "keepalive_requests 100000000", "keepalive_requests 7"),
       "apache2": ("apache2.conf", "MaxKeepAliveRequests 0", "MaxKeepAliveRequests 7"),
       "lighttpd": ("lighttpd.conf", "keep-alive-requests = 65535", "keep-alive-requests = 7")}


@case("nginx/h2-goaway", "nginx", version="h2", parallel=False)
@case("nginx/h2-goaway-parallel", "nginx", version="h2", parallel=True)
@case("nginx/h1-close", "nginx", version="h1", parallel=False)
@case("nginx/h1-close-parallel", "nginx", version="h1", parallel=True)
@case("apache2/h1-close", "apache2", version="h1", parallel=False, name="apache2")
@case("apache2/h1-close-parallel", "apache2", version="h1", parallel=True, name="apache2")
@case("lighttpd/h1-close", "lighttpd", version="h1", parallel=False, name="lighttpd")
@case("lighttpd/h1-close-parallel", "lighttpd", version="h1", parallel=True, name="lighttpd")
def parting(run, version, parallel, name="nginx"):
    """Seven requests on a connection, or seven more, then GOAWAY, or `connection: close`: every answer comes, each from the connection
    that has taken its request."""
    file, before, after = FEW[name]

    def prepare():
        text = (run.folder / file).read_text()
        check(before in text, f"no {before!r} in {file}")
        (run.folder / file).write_text(text.replace(before, after))

    port = server(run, name, prepare)
    fetched, count = got(run, name, version, *[f"/bytes/{1000 + i}" for i in range(50)],
                         port=port, parallel=parallel)
    for i, body in enumerate(fetched.files):
        check(body == pattern(1000 + i), f"/bytes/{1000 + i}: {len(body)} bytes")
    check(count >= 7, f"{count} connections for 50 requests, seven or eight on each")


@case("nginx/h2-reload", "nginx", version="h2")
@case("nginx/h1-reload", "nginx", version="h1")
@case("apache2/h2-reload", "apache2", version="h2", name="apache2", number=signal.SIGUSR1)
@case("apache2/h1-reload", "apache2", version="h1", name="apache2", number=signal.SIGUSR1)
def reloading(run, version, name="nginx", number=signal.SIGHUP):
    """`nginx -s reload`, `apachectl graceful`, again and again while `tern get` fetches one URL after the other."""
    port = server(run, name)
    master = run.processes[-1]

    def reload():
        for _ in range(5):
            time.sleep(0.1)
            os.kill(master.pid, number)

    paths = [f"/bytes/{1000 + i % 100}" for i in range(600)] + [f"/{LARGE}"] * 20
    fetched, count = got(run, name, version, *paths, port=port, meanwhile=reload)
    for path, body in zip(paths, fetched.files):
        expected = ((run.site / LARGE).read_bytes() if path == f"/{LARGE}"
                    else pattern(int(path.rpartition("/")[2])))
        check(body == expected, f"{path}: {len(body)} bytes")
    check(count > 1, "one connection: nothing was tried")


@case("node-server/h2-goaway", "chromium", version="h2")
@case("node-server/h1-close", "chromium", version="h1")
def node_parting(run, version):
    """A connection that takes nothing more, and one that ends before a request was looked at."""
    paths = ["/parting/1000", "/parting/1001", "/bytes/1002", "/lost/1003", "/lost/1004",
             "/parting/1005"]
    fetched, count = got(run, "node", version, *paths)
    check(fetched.files == [pattern(1000 + i) for i in range(6)],
          f"bodies of {[len(body) for body in fetched.files]} bytes")
    check(count >= 5, f"{count} connections")


# ---- answers that come early, in parts, or at the end of the connection -------------------------

@case("nginx/h2-early-answer", "nginx", name="nginx", path="/echo", version="h2", status=413)
@case("nginx/h1-early-answer", "nginx", name="nginx", path="/echo", version="h1", status=413)
@case("node-server/h2-early-answer", "chromium", name="node", path="/refuse", version="h2",
      status=403)
@case("node-server/h1-early-answer", "chromium", name="node", path="/refuse", version="h1",
      status=403)
def early_answer(run, name, path, version, status):
    """The server answers an upload of 10 MB before it is over; the answer counts."""
    file = run.folder / "upload.bin"
    file.write_bytes(UPLOAD)
    fetched, _ = got(run, name, version, path, data=file)
    check(re.search(rf"^< HTTP/\S+ {status}\b", fetched.text, re.MULTILINE),
          f"no {status}: {last_lines(fetched.text)}")


@case("node-server/h2-hints", "chromium", version="h2")
@case("node-server/h1-hints", "chromium", version="h1")
def hints(run, version):
    fetched, _ = got(run, "node", version, "/hints")
    check(fetched.files == [b"some words\n"], f"{fetched.files}")
    for wanted in (r"^< HTTP/\S+ 103\b", r"^< link: </a.css>; rel=preload; as=style",
                   r"^< HTTP/\S+ 200\b", r"^< x-checksum: 0815"):
        check(re.search(wanted, fetched.text, re.MULTILINE | re.IGNORECASE),
              f"no {wanted}: {fetched.text}")


@case("python-server/http1.0", "chromium")
def old_server(run):
    """HTTP/1.0 in clear text: a body ends with its connection."""
    port = free_port()
    process = run.start("old-server", [sys.executable, INTEROP / "drivers/old_server.py", str(port),
                                       run.site])
    wait_for_tcp(process, port)
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)

    def get(*paths, **options):
        fetch = Fetch([f"http://127.0.0.1:{port}{path}" for path in paths], protocol="--http1.1",
                      **options)
        return run.subject.get(run, fetch, port)

    fetched = get(f"/{SMALL}", f"/{HUGE}", f"/{SMALL}").expect_success()
    check(fetched.files == [(run.site / name).read_bytes() for name in (SMALL, HUGE, SMALL)],
          "other bodies")
    fetched = get(*[f"/{SMALL}"] * 100, parallel=True).expect_success()
    check(fetched.files == [(run.site / SMALL).read_bytes()] * 100, "a hundred at once")
    check(get("/echo", data=file).expect_success().files == [POSTED], "another body came back")
    [head] = get(f"/{SMALL}", head=True).expect_success().files
    check(head.startswith(b"HTTP/1."), f"the head is {head!r}")
    check(get("/no-such-page", fail=True).status == EXIT_HTTP_ERROR, "a 404 with --fail")
