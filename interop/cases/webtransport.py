"""WebTransport: browsers with tern-webtransport, on each carrier."""

import json
import shutil
import subprocess

from cases.browsers import firefox_profile
from harness.matrix import case
from harness.process import INTEROP, check, peer_path
from harness.tern import last_lines


def package(run):
    """tern-webtransport as npm would publish it, built once for a run."""
    source = INTEROP.parent / "webtransport/js"
    target = run.folder / "tern-webtransport"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules", "dist"))
    compiler = peer_path("typescript") + "/bin/tsc"
    done = subprocess.run(["node", compiler, "-p", target / "tsconfig.json"], capture_output=True,
                          text=True, check=False)
    check(done.returncode == 0, f"tsc: {last_lines(done.stdout)}")
    return target / "dist/index.js"


def expect_page(seen, carrier, reset):
    failed = {name: part["failed"] for name, part in seen.items()
              if isinstance(part, dict) and "failed" in part}
    check(not failed, f"{failed}")
    facts = seen["facts"]
    check(facts["carrier"] == carrier, f"{facts}")
    check(facts["closed"] == {"closeCode": 7, "reason": "seen"}, f"{facts}")
    if carrier == "websocket":
        check(facts["reliability"] == "reliable-only" and facts["protocol"] == "echo v1", f"{facts}")
    check(facts["maxDatagramSize"] >= 1000, f"{facts}")
    check(seen["bidirectional"]["echoes"] == [True] * 5, f"{seen['bidirectional']}")
    check(seen["many"]["right"] == 250, f"{seen['many']}")
    check(seen["unidirectional"]["right"] == 3, f"{seen['unidirectional']}")
    check(seen["datagrams"]["got"] == 10, f"{seen['datagrams']}")
    check(seen["reset"]["code"] == reset, f"{seen['reset']}")
    check(seen["after"]["outcome"] in ("error", "done") and seen["after"]["opened"] == "refused",
          f"{seen['after']}")
    check(not seen["nowhere"]["opened"], f"{seen['nowhere']}")


def browser_page(run, name, arguments, carrier, reset=77):
    server = run.subject.serve(run, log=True)
    arguments |= {"url": server.url(), "package": str(package(run)), "carriers": [carrier]}
    status, text = run.run(name, ["node", INTEROP / f"drivers/{name}_wt.mjs",
                                  json.dumps(arguments)], timeout=150)
    lines = [line for line in text.splitlines() if line.startswith("{\"browser\"")]
    check(status == 0 and lines, f"the browser failed ({status}): {last_lines(text)}")
    expect_page(json.loads(lines[-1]), carrier, reset)


def chromium(run, carrier, quic):
    browser_page(run, "chromium", {
        "module": peer_path("playwright-core"), "browser": peer_path("chromium"),
        "spki": run.certs.spki, "quic": quic}, carrier)


def firefox(run, carrier, quic, reset=77):
    browser_page(run, "firefox", {
        "module": peer_path("puppeteer-core"), "browser": peer_path("firefox"),
        "profile": str(firefox_profile(run)), "quic": quic}, carrier, reset)


@case("chromium/webtransport-h3", "chromium")
def chromium_native(run):
    chromium(run, "native", True)


@case("chromium/webtransport-websocket", "chromium")
def chromium_websocket(run):
    chromium(run, "websocket", False)


@case("firefox/webtransport-h3", "firefox")
def firefox_native(run):
    # Its own streams do not tell the code.
    firefox(run, "native", True, reset="TypeError: Error in input stream")


@case("firefox/webtransport-websocket", "firefox")
def firefox_websocket(run):
    firefox(run, "websocket", False)
