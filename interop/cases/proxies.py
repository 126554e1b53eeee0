"""`tern get` through tinyproxy, to `tern serve` and to caddy."""

import re

from harness.matrix import HUGE, case, digest
from harness.process import NotRun, check, free_port, peer_path, wait_for_tcp
from harness.tern import last_lines
from cases.http_servers import http3_server


def tinyproxy(run, *lines):
    port = free_port()
    config = run.folder / "tinyproxy.conf"
    config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 50",
                                 f'LogFile "{run.folder}/tinyproxy.log"', "LogLevel Info", *lines])
                      + "\n")
    process = run.start("tinyproxy", [peer_path("tinyproxy"), "-d", "-c", config])
    wait_for_tcp(process, port)
    return port


def get(run, proxy, url, *flags, expect=0):
    if not hasattr(run.subject, "path"):
        raise NotRun("nothing stands in for `tern get` behind a proxy")
    [output] = run.outputs(1)
    status, text = run.run("tern-get", [
        run.subject.path, "get", "-v", "--cacert", run.certs.ca, "-x", proxy, *flags, "-o", output,
        url], timeout=60)
    check(status == expect, f"tern get exited with {status}: {last_lines(text)}")
    return (output.read_bytes() if output.exists() else b""), text


@case("tinyproxy/connect-h2", "tinyproxy", flags=())
@case("tinyproxy/connect-h1", "tinyproxy", flags=("--http1.1",))
@case("tinyproxy/connect-epoll", "tinyproxy", flags=("--engine", "epoll"))
def connect(run, flags):
    server = run.subject.serve(run)
    proxy = tinyproxy(run)
    body, text = get(run, f"http://127.0.0.1:{proxy}", server.url("/bytes/20000000"), *flags)
    check(len(body) == 20_000_000, f"{len(body)} bytes")
    check("through the proxy" in text and "over UDP" not in text, last_lines(text))
    log = (run.folder / "tinyproxy.log").read_text()
    check(re.search(rf"CONNECT localhost:{server.port} HTTP/1.1", log), log[-300:])


@case("tinyproxy/caddy-h2", "tinyproxy")
def to_caddy(run):
    port, _ = http3_server(run, "caddy")
    body, _ = get(run, f"http://127.0.0.1:{tinyproxy(run)}", f"https://localhost:{port}/{HUGE}")
    check(digest(body) == digest((run.site / HUGE).read_bytes()), f"{len(body)} bytes, wrong hash")


@case("tinyproxy/password", "tinyproxy")
def password(run):
    server = run.subject.serve(run)
    proxy = tinyproxy(run, "BasicAuth tern sesame")
    body, _ = get(run, f"http://tern:sesame@127.0.0.1:{proxy}", server.url("/hello"))
    check(body == b"hello over h2\n", repr(body))
    _, text = get(run, f"http://127.0.0.1:{proxy}", server.url("/hello"), expect=97)
    check("407" in text, last_lines(text))


@case("tinyproxy/refused-port", "tinyproxy")
def refused_port(run):
    server = run.subject.serve(run)
    proxy = tinyproxy(run, "ConnectPort 443")
    _, text = get(run, f"http://127.0.0.1:{proxy}", server.url("/hello"), expect=97)
    check("403" in text, last_lines(text))


@case("tinyproxy/http-forwarded", "tinyproxy")
def forwarded(run):
    """A URL without TLS: whole in the request, and the connection to the proxy used again if it may be."""
    if not hasattr(run.subject, "path"):
        raise NotRun("nothing stands in for `tern serve --http`")
    port = free_port()
    process = run.start("tern-serve", [run.subject.path, "serve", "--listen", f"127.0.0.1:{free_port()}",
                                       "--http", f"127.0.0.1:{port}", "--cert", run.certs.cert,
                                       "--key", run.certs.key])
    wait_for_tcp(process, port)
    proxy = tinyproxy(run)
    url = f"http://127.0.0.1:{port}/bytes/5000000"
    body, _ = get(run, f"http://127.0.0.1:{proxy}", url)
    check(len(body) == 5_000_000, f"{len(body)} bytes")
    log = (run.folder / "tinyproxy.log").read_text()
    check(f"GET {url} HTTP/1.1" in log, log[-300:])
