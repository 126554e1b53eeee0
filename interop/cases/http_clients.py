"""curl, bun and impit as HTTP/3 clients of `tern serve`."""

import json
import re

from harness.matrix import LARGE, POSTED, POSTED_TYPE, case, digest, expect_answer, pattern
from harness.process import INTEROP, check, peer_path
from harness.servers import in_chroot
from harness.tern import last_lines, wait_for_text


def curl(case, server, *arguments, paths, expect=0, meanwhile=None):
    """curl over HTTP/3 only; returns [(status, body)] in the order of `paths`.

    meanwhile: called while it runs.
    """
    peer_path("curl")
    outputs = case.outputs(len(paths))
    command = ["curl", "-sS", "--http3-only", "--cacert", case.certs.ca, *arguments,
               "-w", "%{urlnum} %{http_version} %{http_code}\\n"]
    for path, output in zip(paths, outputs):
        command += ["-o", output, server.url(path)]
    status, text = case.run("curl", in_chroot([], command), timeout=60,
                            meanwhile=meanwhile)
    check(status == expect, f"curl exited with {status}: {last_lines(text)}")
    answers = sorted((int(number), version, int(code)) for number, version, code in
                     re.findall(r"^(\d+) (\S+) (\d{3})$", text, re.MULTILINE))
    check(len(answers) == len(paths), f"{len(answers)} answers: {last_lines(text)}")
    for _, version, _ in answers:
        check(version == "3", f"curl spoke HTTP/{version}")
    return [(code, output.read_bytes() if output.exists() else b"")
            for (_, _, code), output in zip(answers, outputs)]


@case("curl/get", "curl")
def curl_get(run):
    [(status, body)] = curl(run, run.subject.serve(run), paths=["/hello"])
    check(status == 200 and body == b"hello over h3\n", f"{status}: {body!r}")


@case("curl/20mb", "curl")
@case("curl/20mb-epoll", "curl", engine="epoll")
def curl_large(run, **serving):
    [(status, body)] = curl(run, run.subject.serve(run, **serving), paths=["/bytes/20000000"])
    check(status == 200 and body == pattern(20_000_000), f"{status}, {len(body)} bytes")


@case("curl/post", "curl")
def curl_post(run):
    file = run.folder / "posted.bin"
    file.write_bytes(POSTED)
    head = run.folder / "head.txt"
    [(status, body)] = curl(run, run.subject.serve(run), "--data-binary", f"@{file}", "-D", head,
                            "-H", f"content-type: {POSTED_TYPE}", paths=["/echo"])
    check(status == 200 and body == POSTED, f"{status}, {len(body)} bytes")
    check(re.search(rf"(?im)^content-type: {POSTED_TYPE}\s*$", head.read_text()),
          "the content type is not echoed")


@case("curl/head", "curl")
def curl_head(run):
    [(status, head)] = curl(run, run.subject.serve(run), "--head", paths=["/bytes/1000"])
    check(status == 200, f"status {status}")
    check(re.search(rb"(?im)^content-length: 1000\s*$", head), f"no content-length in {head!r}")


@case("curl/range", "curl")
def curl_range(run):
    server = run.subject.serve(run, root=run.site)
    whole = (run.site / LARGE).read_bytes()
    [(status, body)] = curl(run, server, "--range", "1000000-1999999", paths=[f"/{LARGE}"])
    check(status == 206 and body == whole[1_000_000:2_000_000], f"{status}, {len(body)} bytes")
    [(status, body)] = curl(run, server, "--range", "-500", paths=[f"/{LARGE}"])
    check(status == 206 and body == whole[-500:], f"suffix range: {status}, {len(body)} bytes")
    [(status, body)] = curl(run, server, "--range", "9000000-", paths=[f"/{LARGE}"])
    check(status == 416, f"a range past the end: {status}")


@case("curl/404", "curl")
def curl_missing(run):
    [(status, _)] = curl(run, run.subject.serve(run), paths=["/no-such-page"])
    check(status == 404, f"status {status}")


@case("curl/parallel", "curl")
@case("curl/parallel-workers", "curl", workers=2)
def curl_parallel(run, **serving):
    server = run.subject.serve(run, **serving)
    answers = curl(run, server, "--parallel", "--parallel-max", "50",
                   paths=[f"/bytes/{1000 + i}" for i in range(100)])
    for i, (status, body) in enumerate(answers):
        check(status == 200 and body == pattern(1000 + i), f"{i}: {status}, {len(body)} bytes")


# --- bun ----------------------------------------------------------------------------------------

def bun_session(case):
    server = case.subject.serve(case)
    status, text = case.run(
        "bun", [peer_path("bun"), INTEROP / "drivers/bun_client.mjs", server.url("")],
        timeout=60, env={"NODE_EXTRA_CA_CERTS": str(case.certs.ca)})
    lines = [line for line in text.splitlines() if line.startswith("{")]
    check(status == 0 and lines, f"bun exited with {status}: {last_lines(text)}")
    return json.loads(lines[-1])


def bun_head(answer):
    check(answer["status"] == 200 and answer["length"] == 0 and answer["declared"] == "1000",
          f"HEAD: {answer}")


def bun_range(answer, run):
    index = (run.demo / "index.html").read_bytes()
    check(answer["status"] == 206 and answer["sha256"] == digest(index[10:110]), f"range: {answer}")


BUN_CHECKS = {
    "get": lambda run, seen: expect_answer(seen["small"], b"hello over h3\n"),
    "20mb": lambda run, seen: expect_answer(seen["large"], pattern(20_000_000)),
    "post": lambda run, seen: expect_answer(seen["post"], POSTED),
    "head": lambda run, seen: bun_head(seen["head"]),
    "range": lambda run, seen: bun_range(seen["range"], run),
    "404": lambda run, seen: check(seen["missing"]["status"] == 404, f"{seen['missing']}"),
    "parallel": lambda run, seen: [expect_answer(answer, pattern(1000 + i))
                                   for i, answer in enumerate(seen["parallel"])],
}


def bun_case(run, what):
    BUN_CHECKS[what](run, run.once(("bun-client",), lambda: bun_session(run)))


for _what in BUN_CHECKS:
    case(f"bun-client/{_what}", "bun", what=_what)(bun_case)


# --- impit --------------------------------------------------------------------------------------

@case("impit/h3", "impit", browser="")
# As a browser it begins over TCP, and finds HTTP/3 by Alt-Svc.
@case("impit/alt-svc-chrome", "impit", browser="chrome")
@case("impit/alt-svc-firefox", "impit", browser="firefox")
@case("impit/alt-svc-okhttp", "impit", browser="okhttp5")
def impit(run, browser):
    server = run.subject.serve(run, log=True)
    status, text = run.run("impit", in_chroot(
        [(INTEROP / "drivers", "/srv/drivers"), (peer_path("impit"), "/srv/impit/node_modules")],
        ["node", "/srv/drivers/impit_client.mjs", "/srv/impit/node_modules/impit", server.url(""), browser]), timeout=120)
    lines = [line for line in text.splitlines() if line.startswith("{")]
    check(status == 0 and lines, f"impit exited with {status}: {last_lines(text)}")
    seen = json.loads(lines[-1])
    for each in BUN_CHECKS.values():
        each(run, seen)
    expect_answer(seen["first"], pattern(10))
    count = len(seen) - 1 + len(seen["parallel"])
    wait_for_text(server.process, rf'(?s)(?:"protocol".*?){{{count}}}')  # the log is written after the answers
    spoken = re.findall(r'"protocol":"([^"]*)"', server.process.text())
    check(spoken == ["h2" if browser else "h3"] + ["h3"] * (count - 1), f"spoken: {spoken}")
