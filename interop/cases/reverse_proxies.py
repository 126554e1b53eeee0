"""`tern serve` behind nginx, haproxy, caddy, Apache httpd and lighttpd, which speak HTTP/1.1 to it, or HTTP/2 without TLS."""

from harness.matrix import POSTED, POSTED_TYPE, case, pattern
from harness.process import check
from harness.proxies import PROXIES, start_proxy
from harness.tern import Fetch

from cases.websockets import logged


def behind(run, proxy, spoken, **options):
    """What is fetched and posted through the proxy, over HTTP/2, is what the server behind it sent and got."""
    server = run.subject.serve(run, log=True, clear=True)
    port = start_proxy(run, proxy, f"127.0.0.1:{server.clear}", **options)
    url = f"https://localhost:{port}"
    got = run.subject.get(run, Fetch([f"{url}/hello", f"{url}/bytes/3000000"], protocol="--http2"), port)
    hello, large = got.expect_success().files
    check(hello == f"hello over {spoken}\n".encode() and large == pattern(3_000_000), f"{hello!r}, {len(large)} bytes")
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)
    posted = run.subject.get(run, Fetch([f"{url}/echo"], protocol="--http2", data=file, content_type=POSTED_TYPE), port)
    check(posted.expect_success().files == [POSTED], "another body came back")
    for path in ("/hello", "/bytes/", "/echo"):
        [line] = logged(server, path, 1)
        check(line["protocol"] == spoken and line["status"] == 200, f"{line}")


for _proxy in PROXIES:
    case(f"{_proxy}/reverse-proxy", _proxy, proxy=_proxy, spoken="http/1.1")(behind)
case("apache2/reverse-proxy-h2c", "apache2", proxy="apache2", spoken="h2", scheme="h2c")(behind)
