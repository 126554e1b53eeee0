"""curl as a client of `tern serve` over HTTP/2 and HTTP/1.1."""

import re

from harness.matrix import LARGE, POSTED, POSTED_TYPE, case, pattern
from harness.process import check, peer_path
from harness.servers import in_chroot
from harness.tern import last_lines

VERSIONS = {"h2": ("--http2", "2"), "h1": ("--http1.1", "1.1")}  # curl's flag, and what it says


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
