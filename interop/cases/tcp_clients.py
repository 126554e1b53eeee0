"""HTTP/2 and HTTP/1.1 clients of `tern serve`: Node.js (undici, its own http2 and https), httpx, nghttp,
h2load, and curl's rarer ways."""

import json
import re

from harness.matrix import POSTED, POSTED_TYPE, case, expect_answer, pattern
from harness.process import INTEROP, check, free_port, peer_path
from harness.servers import in_chroot
from harness.tern import last_lines

PROTOCOLS = {"h2": "h2", "h1": "http/1.1"}
UPLOAD = pattern(10_000_000)


# ---- what Node's clients and httpx report ------------------------------------------------------

def expect_everything(seen, version, port, upload=UPLOAD):
    protocol = PROTOCOLS[version]
    expect_answer(seen["small"], f"hello over {protocol}\n".encode(), protocol)
    check(seen["small"]["altSvc"] == f'h3=":{port}"; ma=86400', f"alt-svc: {seen['small']}")
    expect_answer(seen["large"], pattern(20_000_000), protocol)
    expect_answer(seen["post"], POSTED, protocol)
    check(seen["post"]["type"] == POSTED_TYPE, f"echoed type is {seen['post']['type']!r}")
    head = seen["head"]
    check(head["status"] == 200 and head["length"] == 0 and head["declared"] == "1000",
          f"HEAD: {head}")
    check(seen["missing"]["status"] == 404, f"a missing page: {seen['missing']}")
    expect_answer(seen["upload"], upload, protocol)
    check(len(seen["parallel"]) == 100, "not 100 answers")
    for i, answer in enumerate(seen["parallel"]):
        expect_answer(answer, pattern(1000 + i), protocol)


def report_of(run, name, command, **options):
    status, text = run.run(name, command, timeout=60, **options)
    lines = [line for line in text.splitlines() if line.startswith("{\"small\"")]
    check(status == 0 and lines, f"{name} exited with {status}: {last_lines(text)}")
    return json.loads(lines[-1])


def no_complaints(server, but=()):
    """The server found nothing wrong with what the client did, but for a line with each of these."""
    messages = [json.loads(line)["text"] for line in server.process.text().splitlines()
                if line.startswith('{"event":"message"')]
    wrong = len(messages) != len(but) or not all(any(each in text for text in messages) for each in but)
    check(not wrong, f"the server says {messages[:3]}")


def node(run, client, version, connections, refused=()):
    server = run.subject.serve(run, log=True)
    options = {"client": client, "url": server.url()}
    if client.startswith("undici"):
        options["module"] = peer_path("undici")
    seen = report_of(run, client, ["node", INTEROP / "drivers/node_client.mjs", json.dumps(options)],
                     env={"CA": run.certs.ca.read_text(), "NODE_EXTRA_CA_CERTS": str(run.certs.ca)})
    expect_everything(seen, version, server.port)
    check(seen["connections"] <= connections, f"it took {seen['connections']} connections")
    no_complaints(server, refused)
    return seen


@case("undici/h2", "undici", client="undici-h2", version="h2", connections=1)
# One pipelined connection, and another one: undici closes it after HEAD.
@case("undici/h1-pipelined", "undici", client="undici-h1", version="h1", connections=2)
def undici(run, **parameters):
    node(run, **parameters)


def expect_refusals(seen, protocol):
    """`expect: 100-continue` was answered before the body, and CONNECT refused."""
    expect_answer(seen["expect"], POSTED, protocol)
    check(seen["connect"] == 501, f"CONNECT got {seen['connect']}")


@case("node/http2", "chromium")  # whose driver needs Node.js
def node_http2(run):
    seen = node(run, "http2", "h2", connections=1)
    expect_refusals(seen, "h2")
    check(seen["ping"] is True, "PING was not answered")
    check(seen["extendedConnect"] is True, "no SETTINGS_ENABLE_CONNECT_PROTOCOL")
    expect_answer(seen["after"], b"hello over h2\n")  # a cancelled upload


@case("node/https", "chromium")
def node_https(run):
    seen = node(run, "https", "h1", connections=6, refused=("protocol_version", "no_application_protocol"))
    expect_refusals(seen, "http/1.1")
    check(seen["expect"]["continued"], "no 100 (Continue)")
    agreed = seen["tls"]
    check(agreed["1.2"]["version"] == "TLSv1.2" and agreed["1.2"]["alpn"] == "h2",
          f"TLS 1.2: {agreed['1.2']}")
    check(re.fullmatch(r"ECDHE-ECDSA-(AES(128|256)-GCM-SHA\d+|CHACHA20-POLY1305)",
                       agreed["1.2"]["cipher"]), f"TLS 1.2 with {agreed['1.2']}")
    check("PROTOCOL_VERSION" in agreed["1.1"].get("error", ""), f"TLS 1.1: {agreed['1.1']}")
    check(agreed["no ALPN"]["version"] == "TLSv1.3", f"without ALPN: {agreed['no ALPN']}")
    check("NO_APPLICATION_PROTOCOL" in agreed["strange ALPN"].get("error", ""),
          f"a strange ALPN: {agreed['strange ALPN']}")


@case("httpx/h2", "httpx", version="h2")
@case("httpx/h1", "httpx", version="h1")
def httpx(run, version):
    python = peer_path("httpx")
    server = run.subject.serve(run, log=True)
    seen = report_of(run, "httpx", [python, INTEROP / "drivers/httpx_client.py", version,
                                    server.url(""), run.certs.ca])
    # Over HTTP/1.1 it reads nothing before all is written: no more than sockets hold can come back.
    expect_everything(seen, version, server.port, UPLOAD if version == "h2" else UPLOAD[:300_000])
    no_complaints(server)


# ---- nghttp and h2load (nghttp2) ---------------------------------------------------------------

def serve_both(run):
    """`tern serve` with TLS and, at the port returned, in clear text."""
    port = free_port()
    return run.subject.serve(run, log=True, flags=["--http", f"127.0.0.1:{port}"]), port


def uploaded(run):
    file = run.folder / "upload.bin"
    file.write_bytes(UPLOAD)
    return file


@case("nghttp/upload", "nghttp")
def nghttp(run):
    """Expect, then 10 MB, then trailers; with TLS and without."""
    server, clear = serve_both(run)
    for url in (server.url("/echo"), f"http://127.0.0.1:{clear}/echo"):
        [output] = run.outputs(1)
        status, text = run.run("nghttp", ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh",
                                          output, peer_path("nghttp"), "-d", uploaded(run),
                                          "--expect-continue", "--trailer", "x-checksum: 0815",
                                          url], timeout=30)
        check(status == 0 and output.read_bytes() == UPLOAD,
              f"{status}, {output.stat().st_size} bytes: {last_lines(text)}")
    no_complaints(server)


@case("h2load/h2", "nghttp", flags=[], scheme="https")
@case("h2load/h1", "nghttp", flags=["--h1"], scheme="https")
@case("h2load/h2-clear", "nghttp", flags=[], scheme="http")
@case("h2load/h1-clear", "nghttp", flags=["--h1"], scheme="http")
def h2load(run, flags, scheme):
    """2000 small answers, ten at once on each of ten connections; and uploads."""
    peer_path("nghttp")
    server, clear = serve_both(run)
    origin = {"https": server.url(""), "http": f"http://127.0.0.1:{clear}"}[scheme]
    for arguments, count, size in ((["-m", "10", f"{origin}/bytes/1000"], 2000, 1000),
                                   (["-d", uploaded(run), f"{origin}/echo"], 10, len(UPLOAD))):
        status, text = run.run("h2load", ["h2load", "-n", str(count), "-c", "10", *flags,
                                          *arguments], timeout=60)
        check(status == 0 and f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in text,
              f"{status}: {last_lines(text)}")
        check(f"status codes: {count} 2xx" in text, last_lines(text))
        check(f"({count * size}) data" in text, f"not {count * size} bytes: {last_lines(text)}")
    no_complaints(server)


# ---- curl --------------------------------------------------------------------------------------

def curl(run, *arguments, stdin="/dev/null"):
    peer_path("curl")
    [output] = run.outputs(1)
    command = in_chroot([], ["curl", "-sS", "--cacert", run.certs.ca, "-o", output,
                             "-w", "%{http_version} %{http_code}\\n", *arguments])
    status, text = run.run("curl", ["sh", "-c", 'in=$1; shift; exec "$@" < "$in"', "sh", stdin,
                                    *command], timeout=60)
    return status, text, output.read_bytes() if output.exists() else b""


@case("curl/h2c", "curl")
def curl_clear(run):
    """Without TLS: HTTP/2 by prior knowledge, an upgrade that is ignored, HTTP/1.1 and HTTP/1.0."""
    _, clear = serve_both(run)
    url = f"http://127.0.0.1:{clear}/hello"
    for flag, said in (("--http2-prior-knowledge", ("2 200", b"hello over h2\n")),
                       ("--http2", ("1.1 200", b"hello over http/1.1\n")),
                       ("--http1.1", ("1.1 200", b"hello over http/1.1\n")),
                       ("--http1.0", ("1.1 200", b"hello over http/1.1\n"))):
        status, text, body = curl(run, flag, url)
        check(status == 0 and said[0] in text and body == said[1],
              f"{flag}: {status}, {body!r}, {last_lines(text)}")
    status, text, _ = curl(run, "--proxytunnel", "--proxy", f"http://127.0.0.1:{clear}",
                           "http://example.com/")
    # 56; 7 from curl 8.23 (and maybe before).
    check(status in (7, 56) and "501" in text, f"CONNECT: {status}, {last_lines(text)}")


def curl_upload(run, flags, expect):
    """10 MB up and down at once; those from a pipe have no length, and wait for no 100 (Continue)."""
    server = run.subject.serve(run)
    file = uploaded(run)
    for source in (["-T", file, "-H", "Expect: 100-continue"], ["-T", ".", "-H", "Expect:"]):
        status, text, body = curl(run, *flags, "-X", "POST", *source, server.url("/echo"),
                                  stdin=file)
        check(status == 0 and expect in text and body == UPLOAD,
              f"{status}, {len(body)} bytes: {last_lines(text)}")


case("curl/h2-upload", "curl", flags=["--http2"], expect="2 200")(curl_upload)
case("curl/h1-upload", "curl", flags=["--http1.1"], expect="1.1 200")(curl_upload)
case("curl/h1-tls1.2-upload", "curl", flags=["--http1.1", "--tls-max", "1.2"],
     expect="1.1 200")(curl_upload)
