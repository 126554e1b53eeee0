"""HTTP/2 and HTTP/1.1: curl as a client of `tern serve`, caddy and nginx as servers of `tern get`."""

import re

from harness.matrix import HUGE, LARGE, POSTED, POSTED_TYPE, SMALL, case, digest, pattern
from harness.process import check, peer_path
from harness.servers import in_chroot
from harness.tern import Fetch, last_lines
from cases.http_servers import http3_server

VERSIONS = {"h2": ("--http2", "2"), "h1": ("--http1.1", "1.1")}  # the flag of curl and of tern


def curl(run, server, version, *arguments, path, expect=200):
    peer_path("curl")
    flag, spoken = VERSIONS[version]
    [output] = run.outputs(1)
    status, text = run.run("curl", in_chroot([], [
        "curl", "-sS", flag, "--cacert", run.certs.ca, *arguments, "-o", output,
        "-w", "%{http_version} %{http_code}\\n", server.url(path)]), timeout=60)
    check(status == 0, f"curl exited with {status}: {last_lines(text)}")
    check(f"{spoken} {expect}" in text, f"not HTTP/{spoken} {expect}: {last_lines(text)}")
    return output.read_bytes() if output.exists() else b""


def curl_get(run, version, **serving):
    head = run.folder / "head.txt"
    server = run.subject.serve(run, **serving)
    body = curl(run, server, version, "-D", head, path="/hello")
    protocol = {"h2": b"h2", "h1": b"http/1.1"}[version]
    check(body == b"hello over " + protocol + b"\n", repr(body))
    check(re.search(rf'(?im)^alt-svc: h3=":{server.port}"; ma=86400\s*$', head.read_text()),
          f"no alt-svc in {head.read_text()!r}")


def curl_large(run, version, **serving):
    body = curl(run, run.subject.serve(run, **serving), version, path="/bytes/20000000")
    check(body == pattern(20_000_000), f"{len(body)} bytes")


def curl_post(run, version):
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)
    body = curl(run, run.subject.serve(run), version, "--data-binary", f"@{file}",
                "-H", f"content-type: {POSTED_TYPE}", path="/echo")
    check(body == POSTED, f"{len(body)} bytes came back")


def curl_range(run, version):
    whole = (run.site / LARGE).read_bytes()
    server = run.subject.serve(run, root=run.site)
    body = curl(run, server, version, "--range", "1000000-1999999", path=f"/{LARGE}", expect=206)
    check(body == whole[1_000_000:2_000_000], f"{len(body)} bytes")


def curl_head(run, version):
    head = curl(run, run.subject.serve(run), version, "--head", path="/bytes/1000")
    check(re.search(rb"(?im)^content-length: 1000\s*$", head), f"no content-length in {head!r}")


for _version in VERSIONS:
    for _what, _function in {"get": curl_get, "20mb": curl_large, "post": curl_post,
                             "range": curl_range, "head": curl_head}.items():
        case(f"curl/{_version}-{_what}", "curl", version=_version)(_function)
    case(f"curl/{_version}-20mb-epoll", "curl", version=_version, engine="epoll")(curl_large)
    case(f"curl/{_version}-get-workers", "curl", version=_version, workers=2)(curl_get)


def fetch_from(run, name, version, *paths, **options):
    port, access_log = http3_server(run, name)
    fetch = Fetch([f"https://localhost:{port}{path}" for path in paths],
                  protocol=VERSIONS[version][0], **options)
    fetched = run.subject.get(run, fetch, port).expect_success()
    spoken = {"h2": "h2", "h1": "http/1.1"}[version]
    check(f", {spoken}, " in fetched.text, f"not {spoken}: {last_lines(fetched.text)}")
    return fetched, access_log


def server_get(run, name, version):
    fetched, _ = fetch_from(run, name, version, f"/{SMALL}")
    check(fetched.files == [(run.site / SMALL).read_bytes()], "another body")


def server_large(run, name, version):
    fetched, _ = fetch_from(run, name, version, f"/{HUGE}")
    [body] = fetched.files
    check(digest(body) == digest((run.site / HUGE).read_bytes()), f"{len(body)} bytes, wrong hash")


def server_post(run, name, version):
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)
    fetched, _ = fetch_from(run, name, version, "/echo", data=file, content_type=POSTED_TYPE)
    check(fetched.files == [POSTED], "another body came back")


def server_many(run, name, version):
    """A hundred URLs at once: on one connection of HTTP/2, on up to six of HTTP/1.1."""
    fetched, _ = fetch_from(run, name, version, *[f"/bytes/{1000 + i}" for i in range(100)],
                            parallel=True)
    for i, body in enumerate(fetched.files):
        check(body == pattern(1000 + i), f"/bytes/{1000 + i}: {len(body)} bytes")
    connections = len(re.findall(r"^\* connected: ", fetched.text, re.MULTILINE))
    check(connections == 1 if version == "h2" else 1 < connections <= 6,
          f"{connections} connections")


for _name, _version in (("caddy", "h2"), ("caddy", "h1"), ("nginx", "h1")):
    for _what, _function in {"get": server_get, "20mb": server_large, "post": server_post,
                             "parallel": server_many}.items():
        case(f"{_name}/{_version}-{_what}", _name, name=_name, version=_version)(_function)
