"""What comes with a language, both ways: Go (net/http, quic-go, Gorilla's and Coder's WebSockets), the JDK's HTTP
client, and hypercorn (Python, HTTP/3 by aioquic)."""

import json
import re

from cases.tcp_clients import UPLOAD, expect_answer
from cases.websocket_programs import MESSAGES, expect_common, expect_echo, expect_facts, server_session
from harness.matrix import HUGE, LARGE, POSTED, POSTED_TYPE, SMALL, case, digest, pattern
from harness.process import INTEROP, check, free_port, peer_path, wait_for_quic, wait_for_tcp
from harness.servers import in_chroot
from harness.tern import EXIT_HTTP_ERROR, Fetch, last_lines, wait_for_text

DRIVERS = INTEROP / "drivers"
FLAGS = {"h3": "--http3-only", "h2": "--http2", "h1": "--http1.1"}
SPOKEN = {"h3": "h3", "h2": "h2", "h1": "http/1.1"}


# ---- clients of `tern serve` --------------------------------------------------------------------

def report_of(run, name, command):
    status, text = run.run(name, command, timeout=90)
    lines = [line for line in text.splitlines() if line.startswith("{")]
    check(status == 0 and lines, f"{name} exited with {status}: {last_lines(text)}")
    return json.loads(lines[-1])


def expect_everything(run, seen, protocol, upload=UPLOAD):
    """What a client asks for that has all of HTTP; see the drivers."""
    hello = f"hello over {protocol}\n".encode()
    expect_answer(seen["small"], hello, protocol)
    expect_answer(seen["large"], pattern(20_000_000), protocol)
    expect_answer(seen["post"], POSTED, protocol)
    check(seen["post"]["type"] == POSTED_TYPE, f"echoed type is {seen['post']['type']!r}")
    check(seen["head"]["status"] == 200 and seen["head"]["length"] == 0
          and seen["head"]["declared"] == "1000", f"HEAD: {seen['head']}")
    check(seen["missing"]["status"] == 404, f"a missing page: {seen['missing']}")
    index = (run.demo / "index.html").read_bytes()
    check(seen["range"]["status"] == 206 and seen["range"]["sha256"] == digest(index[10:110]),
          f"range: {seen['range']}")
    expect_answer(seen["upload"], upload, protocol)
    expect_answer(seen["expect"], POSTED, protocol)
    for i, each in enumerate(seen["parallel"]):
        expect_answer(each, pattern(1000 + i), protocol)
    check(len(seen["parallel"]) == 100, "not 100 answers")
    expect_answer(seen["cancelled"], hello, protocol)


@case("go/h3", "go", version="h3", protocol="h3")
@case("go/h2", "go", version="h2", protocol="h2")
@case("go/h1", "go", version="h1", protocol="http/1.1")
@case("go/h2-without-tls", "go", version="h2c", protocol="h2")
@case("go/h1-without-tls", "go", version="h1c", protocol="http/1.1")
def go_client(run, version, protocol):
    clear = version.endswith("c")
    server = run.subject.serve(run, log=True, clear=clear)
    options = {"version": version, "ca": str(run.certs.ca),
               "url": f"http://127.0.0.1:{server.clear}" if clear else server.url("")}
    seen = report_of(run, "go", [peer_path("go"), "client", json.dumps(options)])
    expect_everything(run, seen, protocol)
    expect_answer(seen["trailers"], POSTED, protocol)
    expect_answer(seen["again"], f"hello over {protocol}\n".encode(), protocol)
    if version in ("h2", "h1"):
        check(seen["expect"]["continued"], "no 100 (Continue)")
    check(clear or seen["again"]["resumed"], f"it did not resume: {seen['again']}")


@case("go/websocket-gorilla", "go", library="gorilla", tls=True)
@case("go/websocket-coder-without-tls", "go", library="coder", tls=False)
def go_websocket(run, library, tls):
    server = run.subject.serve(run, log=True, clear=not tls)
    options = {"library": library, "ca": str(run.certs.ca),
               "url": (f"wss://localhost:{server.port}/ws/echo" if tls
                       else f"ws://127.0.0.1:{server.clear}/ws/echo")}
    seen = report_of(run, "go", [peer_path("go"), "websocket", json.dumps(options)])
    expect_common(seen)
    expect_echo(seen["plain"], 200, deflate=False)
    check(seen["stranger"] == {"status": 403}, f"{seen['stranger']}")


@case("java/h2", "java", version="h2", protocol="h2")
@case("java/h1", "java", version="h1", protocol="http/1.1")
def java_client(run, version, protocol):
    server = run.subject.serve(run, log=True)
    seen = report_of(run, "java", ["java", "-cp", peer_path("java"), "JavaClient", version,
                                   server.url(""), run.certs.ca])
    expect_everything(run, seen, protocol, UPLOAD if version == "h2" else UPLOAD[:300_000])


@case("java/websocket", "java")
def java_websocket(run):
    """Without permessage-deflate, which it does not know."""
    server = run.subject.serve(run, log=True)
    seen = report_of(run, "java", ["java", "-cp", peer_path("java"), "JavaClient", "websocket",
                                   f"wss://localhost:{server.port}/ws/echo", run.certs.ca])
    expect_common(seen, deflate=False)
    check(seen["fragments"] == {"message": "one ä two three", "pong": "are you there"},
          f"{seen['fragments']}")
    check(seen["stranger"] == {"status": 403}, f"{seen['stranger']}")


# ---- servers of `tern get` and `tern ws` --------------------------------------------------------

def go_server(run):
    """Its ports, with TLS and without."""
    port, clear = free_port(), free_port()
    options = {"port": port, "clear": clear, "cert": str(run.certs.cert), "key": str(run.certs.key),
               "root": str(run.site)}
    process = run.start("go", [peer_path("go"), "server", json.dumps(options)])
    wait_for_text(process, "READY", timeout=15.0)
    return port, clear


def hypercorn(run):
    peer_path("hypercorn")
    port = free_port()
    listen = [part for host in ("127.0.0.1", "[::1]")
              for part in ("--bind", f"{host}:{port}", "--quic-bind", f"{host}:{port}")]
    process = run.start("hypercorn", in_chroot(
        [(run.site, "/srv/root"), (DRIVERS, "/srv/drivers")],
        ["env", "WWW=/srv/root", "PYTHONPATH=/srv/drivers", "PYTHONDONTWRITEBYTECODE=1",
         "python3", "-m", "hypercorn", *listen, "--certfile", run.certs.cert, "--keyfile", run.certs.key,
         "asgi_site:app"]))
    wait_for_quic(process, port)
    wait_for_tcp(process, port)
    return port


def get(run, port, carrier, *paths, clear=False, expect=0, **options):
    scheme = "http" if clear else "https"
    fetch = Fetch([f"{scheme}://localhost:{port}{path}" for path in paths], protocol=FLAGS[carrier],
                  **options)
    fetched = run.subject.get(run, fetch, port)
    check(fetched.status == expect, f"{paths[0]}: exit status {fetched.status}: "
                                    f"{last_lines(fetched.text)}")
    if not clear:
        check(set(fetched.spoken()) == {SPOKEN[carrier]}, f"connections of {fetched.spoken()}")
    return fetched


def server_everything(run, port, version, clear=False, ranges=True, large=HUGE, upload_size=len(UPLOAD)):
    """One server, the requests of all the others."""
    posted, upload = run.folder / "posted.bin", run.folder / "upload.bin"
    posted.write_bytes(POSTED)
    upload.write_bytes(UPLOAD[:upload_size])

    def ask(*paths, **options):
        return get(run, port, version, *paths, clear=clear, **options)

    check(ask(f"/{SMALL}").files == [(run.site / SMALL).read_bytes()], "another body")
    [body] = ask(f"/{large}").files
    check(digest(body) == digest((run.site / large).read_bytes()), f"{large}: {len(body)} bytes")
    check(ask("/echo", data=posted, content_type=POSTED_TYPE).files == [POSTED], "POST")
    [echoed] = ask("/upload", data=upload).files
    check(echoed == UPLOAD[:upload_size], f"upload: {len(echoed)} bytes came back")
    [head] = ask(f"/{SMALL}", head=True).files
    check(b" 200" in head.splitlines()[0] and re.search(rb"(?im)^content-length: 13\s*$", head),
          f"HEAD: {head!r}")
    ask("/no-such-page", fail=True, expect=EXIT_HTTP_ERROR)
    if ranges:
        check(ask(f"/{SMALL}", flags=["-H", "range: bytes=2-6"]).files == [b"small"], "a range")
    check(ask("/old", flags=["--location"]).files == [(run.site / SMALL).read_bytes()], "a redirect")
    for parallel in (False, True):
        fetched = ask(*[f"/bytes/{1000 + i}" for i in range(100)], parallel=parallel)
        check(fetched.files == [pattern(1000 + i) for i in range(100)],
              f"a hundred, parallel {parallel}: {[len(each) for each in fetched.files]}")


@case("go-server/h3", "go", version="h3")
@case("go-server/h2", "go", version="h2")
@case("go-server/h1", "go", version="h1")
def go_server_everything(run, version):
    port, _ = go_server(run)
    server_everything(run, port, version)


@case("go-server/h2-without-tls", "go", version="h2")
def go_server_clear(run, version):
    _, port = go_server(run)
    server_everything(run, port, version, clear=True)


@case("go-server/h3-parts", "go", version="h3")
@case("go-server/h2-parts", "go", version="h2")
@case("go-server/h1-parts", "go", version="h1")
def go_server_parts(run, version):
    """103, trailers both ways, an answer before the upload's end, a body that breaks off."""
    port, _ = go_server(run)
    fetched = get(run, port, version, "/hints")
    check(fetched.files == [b"some words\n"], f"{fetched.files}")
    for wanted in (r"^< HTTP/\S+ 103\b", r"^< link: </a.css>; rel=preload; as=style",
                   r"^< HTTP/\S+ 200\b", r"^< x-checksum: 0815"):
        check(re.search(wanted, fetched.text, re.MULTILINE | re.IGNORECASE),
              f"no {wanted}: {fetched.text}")
    upload = run.folder / "upload.bin"
    upload.write_bytes(UPLOAD)
    fetched = get(run, port, version, "/refuse", data=upload)
    check(re.search(r"^< HTTP/\S+ 403\b", fetched.text, re.MULTILINE), f"no 403: {last_lines(fetched.text)}")
    broken = run.subject.get(run, Fetch([f"https://localhost:{port}/abort"], protocol=FLAGS[version]),
                             port)
    check(broken.status in (18, 56, 92, 95), f"a body that broke off: exit status {broken.status}")


@case("go-server/h3-0rtt", "go", version=1, last=HUGE)
@case("go-server/h3-0rtt-v2", "go", version=2, last="bytes/9000")
def go_server_early(run, version, last):
    """Early data, which quic-go answers before the handshake is confirmed; a key update at the first byte of that, and
    a migration. With version 2 nothing that takes a hundred packets: then quic-go (0.50, 0.59) updates its keys, and
    makes them with version 1's label, against RFC 9369, section 3.3.2."""
    port, _ = go_server(run)
    more = {"key_update": True, "migrate_at": ["5MB"]} if version == 1 else {}
    for expected in (False, True):
        fetched = get(run, port, "h3", f"/{SMALL}", f"/{last}", session=run.folder / "session",
                      early_data=True, version=version, **more)
        check(("0-RTT accepted" in fetched.text) == expected, f"0-RTT: {fetched.text}")
        wanted = (run.site / HUGE).read_bytes() if last == HUGE else pattern(9000)
        check([digest(body) for body in fetched.files]
              == [digest((run.site / SMALL).read_bytes()), digest(wanted)], "other bodies")
        if version == 1:
            check("keys updated" in fetched.text, f"no key update: {last_lines(fetched.text)}")


@case("go-server/websocket-gorilla", "go", library="gorilla", tls=True)
@case("go-server/websocket-coder-without-tls", "go", library="coder", tls=False)
def go_server_websocket(run, library, tls):
    port, clear = go_server(run)
    server_session(run, f"wss://localhost:{port}/{library}" if tls
                   else f"ws://localhost:{clear}/{library}")


@case("hypercorn/h3", "hypercorn", version="h3")
@case("hypercorn/h2", "hypercorn", version="h2")
@case("hypercorn/h1", "hypercorn", version="h1")
def hypercorn_everything(run, version):
    small = {"large": LARGE, "upload_size": 1_000_000} if version == "h3" else {}  # aioquic takes its time
    server_everything(run, hypercorn(run), version, ranges=False, **small)


# Over HTTP/3 hypercorn 0.17 answers a close frame, and does not end its stream: `tern ws` waits for that.
@case("hypercorn/websocket-h3", "hypercorn", beside=4, carrier="h3")
@case("hypercorn/websocket-h2", "hypercorn", carrier="h2")
@case("hypercorn/websocket-http1.1", "hypercorn", carrier="http1.1")
def hypercorn_websocket(run, carrier):
    url = f"wss://localhost:{hypercorn(run)}/echo"
    expect_facts(run, url, {"http1.1": "http/1.1"}.get(carrier, carrier), flags=["--carrier", carrier])
    if carrier == "h3":
        return
    lines = "".join(message + "\n" for message in MESSAGES).encode()
    check(run.subject.websocket_pipe(run, url, lines, "--carrier", carrier) == lines,
          "lines came back otherwise")
