"""WebTransport: browsers with tern-webtransport, on each carrier; and `tern wt` with aioquic's server."""

import json
import shutil
import subprocess

from cases.browsers import over_tcp
from cases.websockets import AIOQUIC, expect_carrier, logged
from harness.browser import (
    drive, firefox_profile, given, over_tcp_with_quic, shared_over_quic)
from harness.matrix import case
from harness.namespace import Namespace
from harness.process import INTEROP, check, free_port, peer_path, wait_for_quic
from harness.relay import Relay
from harness.servers import in_chroot
from harness.tern import last_lines, wait_for_text


# Firefox's own streams do not tell the code they were reset with.
FIREFOX_RESET = "TypeError: Error in input stream"


def package(run):
    """tern-webtransport as npm would publish it, built once for a run."""
    return run.once("tern-webtransport", lambda: compile_package(run.shared / "tern-webtransport"))


def compile_package(target):
    source = INTEROP.parent / "webtransport/js"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules", "dist"))
    compiler = peer_path("typescript") + "/bin/tsc"
    done = subprocess.run(["node", compiler, "-p", target / "tsconfig.json"], capture_output=True,
                          text=True, check=False)
    check(done.returncode == 0, f"tsc: {last_lines(done.stdout)}")
    return target / "dist/index.js"


@case("esbuild/tern-webtransport", "esbuild", 12)
def package_tests(run):
    """The package's build, which knows its size, and its tests; what the chat's page has of it is new."""
    folder = run.folder / "tern-webtransport-tests"
    shutil.copytree(INTEROP.parent / "webtransport/js", folder,
                    ignore=shutil.ignore_patterns("node_modules", "dist"))
    typescript, page = peer_path("typescript"), folder / "page.js"
    for command in (["node", folder / "build.mjs", "--typescript", typescript, "--esbuild",
                     peer_path("esbuild"), "--page", page],
                    ["node", f"{typescript}/bin/tsc", "-p", folder / "test/tsconfig.json"],
                    ["node", "--test", folder / "test/"]):
        status, text = run.run("npm", command, timeout=90)
        check(status == 0, f"{' '.join(map(str, command[:2]))}: {last_lines(text, 8)}")
    served = INTEROP.parent / "examples/chat/page/tern-webtransport.js"
    check(page.read_bytes() == served.read_bytes(),
          "examples/chat/page/tern-webtransport.js is old: webtransport/js/build.mjs --page makes it")


def expect_page(seen, carrier, reset, protocols):
    failed = {name: part["failed"] for name, part in seen.items()
              if isinstance(part, dict) and "failed" in part}
    check(not failed, f"{failed}")
    facts = seen["facts"]
    check(facts["carrier"] == carrier, f"{facts}")
    check(facts["closed"] == {"closeCode": 7, "reason": "seen"}, f"{facts}")
    check((facts.get("protocol") or "") in protocols, f"{facts}")
    if carrier == "websocket":
        check(facts["reliability"] == "reliable-only", f"{facts}")
    check(facts["maxDatagramSize"] >= 1000, f"{facts}")
    check(seen["bidirectional"]["echoes"] == [True] * 5, f"{seen['bidirectional']}")
    check(seen["many"]["right"] == 250, f"{seen['many']}")
    check(seen["unidirectional"]["right"] == 3, f"{seen['unidirectional']}")
    check(seen["datagrams"]["got"] == 10, f"{seen['datagrams']}")
    check(seen["reset"]["code"] == reset, f"{seen['reset']}")
    check(seen["after"]["outcome"] in ("error", "done") and seen["after"]["opened"] == "refused",
          f"{seen['after']}")
    check(not seen["nowhere"]["opened"], f"{seen['nowhere']}")
    check(not seen.get("strangers", {}).get("opened"), "a session with another certificate's hash")


def expect_door(server, door):
    """What the page's sessions came over, by the access log: one for each part of the page."""
    expect_carrier(logged(server, "/wt/echo", 7, timeout=20.0), door)


def browser_page(run, name, options, carrier, reset=77, namespace=None, browser=None, port=None):
    """browser: a shared one, instead of one of the case's own."""
    # Sessions of Firefox's own know no application protocols (ESR 153), or do (159).
    protocols = ["", "echo v1"] if name == "firefox" and carrier == "native" else ["echo v1"]
    server = run.subject.serve(run, log=True, namespace=namespace, port=port)
    options |= {"url": server.url(), "package": str(package(run))}
    if namespace:
        namespace.drop_udp(server.port)
    if browser:
        seen = browser.drive(f"{name}_wt", options)
    else:
        seen = drive(run, name, f"{name}_wt", options, namespace)
    expect_page(seen, carrier, reset, protocols)
    expect_door(server, options["door"])


def chromium(run, carriers, carrier, door="h3", features=None, hashes=None, quic=None, **more):
    options = {"carriers": carriers, "door": door, "hashes": hashes}
    quic = door == "h3" if quic is None else quic
    alone = features or hashes or more or door == "http/1.1"
    if alone:
        options |= given(run, "chromium") | {"quic": quic, "features": features}
    elif quic:
        more["browser"], ports = shared_over_quic(run)
        more["port"] = ports.popleft()
    else:
        more["browser"] = over_tcp_with_quic(run)
    browser_page(run, "chromium", options, carrier, **more)


def firefox(run, carriers, carrier, door="h3", hashes=None, quic=None, profile=None, **more):
    options = {"carriers": carriers, "door": door, "hashes": hashes}
    if carrier == "native":
        more.setdefault("reset", FIREFOX_RESET)
    quic = door == "h3" if quic is None else quic
    if quic or hashes or more.get("namespace"):
        options |= given(run, "firefox", profile) | {"quic": quic}
    else:
        more["browser"] = over_tcp(run, "firefox", door)
    browser_page(run, "firefox", options, carrier, **more)


# The same page on each carrier that a page has: the browser's own sessions over HTTP/3, and the package's
# over a WebSocket, which is a stream of HTTP/2 or a connection of HTTP/1.1.
for _name, _browser in (("chromium", chromium), ("firefox", firefox)):
    for _way, _carrier, _door in (("h3", "native", "h3"), ("websocket-h2", "websocket", "h2"),
                                  ("websocket-http1.1", "websocket", "http/1.1")):
        case(f"{_name}/webtransport-{_way}", _name, browser=_browser, carriers=[_carrier],
             carrier=_carrier, door=_door)(
                 lambda run, browser, carriers, carrier, door: browser(run, carriers, carrier, door))


@case("chromium/webtransport-h3-draft07", "chromium")
def chromium_draft07(run):
    chromium(run, ["native"], "native", features="EnableWebTransportDraft07")


# The page was waved through, as people do with development certificates; for sessions that counts
# for nothing, and the certificate's hash does.
@case("chromium/webtransport-hashes", "chromium")
def chromium_hashes(run):
    chromium(run, ["native"], "native", quic=False, hashes=[run.certs.sha256])


@case("firefox/webtransport-hashes", "firefox", 8)
def firefox_hashes(run):
    stranger = firefox_profile(run, run.folder, knows_ca=False)
    firefox(run, ["native"], "native", quic=False, profile=stranger, hashes=[run.certs.sha256])


# Nobody answers on UDP: the package goes down by itself. The page came over TCP.
@case("chromium/webtransport-without-udp", "chromium", browser=chromium)
@case("firefox/webtransport-without-udp", "firefox", browser=firefox)
def without_udp(run, browser):
    with Namespace() as namespace:
        browser(run, ["native", "websocket"], "websocket", "h2", namespace=namespace)


# aioquic 1.2 speaks draft 02.
@case("aioquic-server/webtransport", "aioquic")
def aioquic_server(run):
    peer_path("aioquic")
    port = free_port()
    process = run.start("aioquic", in_chroot([(INTEROP / "drivers", "/srv/drivers")], [
        "env", "PYTHONPATH=/srv/drivers", "PYTHONDONTWRITEBYTECODE=1",
        "python3", f"{AIOQUIC}/http3_server.py", "--host", "::", "--port", str(port),
        "--certificate", run.certs.cert, "--private-key", run.certs.key, "aioquic_files:app"]))
    wait_for_quic(process, port)
    lines = [f"line {i} " + "ä" * i for i in range(100)]
    for flags, expected in [(["--wait", "1s"], ["".join(line + "\n" for line in lines)]),
                            (["--datagrams"], lines)]:
        seen, status = run.subject.webtransport(run, f"https://localhost:{port}/wt", *flags,
                                                messages=lines)
        check(status == 0, f"`tern wt` exited with {status}: {seen.get('error')}")
        check(seen["carrier"] == "h3", f"{seen}")
        got = [each["text"] for each in seen["received"]]
        check(sorted(got) == sorted(expected), f"not what was sent with {flags}: {got[:3]}")
        check(seen["close"] == {"code": 0, "reason": "", "by": "client"}, f"{seen['close']}")


@case("firefox/webtransport-chat", "firefox", 30)
def chat(run):
    """Chromium and Firefox in one room of the demo site's chat, each over HTTP/3 and WebSocket."""
    server = run.subject.serve(run, log=True, workers=2)
    arguments = {
        "url": server.url(),
        "chromium": {"module": peer_path("playwright-core"), "browser": peer_path("chromium"),
                     "spki": run.certs.spki},
        "firefox": {"module": peer_path("puppeteer-core"), "browser": peer_path("firefox"),
                    "profile": firefox_profile(run, run.folder)}}
    status, text = run.run("browsers", ["node", INTEROP / "drivers/chat_browsers.mjs",
                                        json.dumps(arguments)], timeout=150)
    lines = [line for line in text.splitlines() if line.startswith("{\"browsers\"")]
    check(status == 0 and lines, f"the browsers failed ({status}): {last_lines(text)}")
    seen = json.loads(lines[-1])
    carriers = {name: "websocket" if "WebSocket" in name else "h3" for name in seen["heard"]}
    check(seen["here"] == carriers, f"{seen['here']}")
    check(len(seen["heard"]) == 4, f"{seen['heard'].keys()}")
    for listener, messages in seen["heard"].items():
        check(sorted(message["by"] for message in messages) == sorted(carriers),
              f"{listener} hears {messages}")
        for message in messages:
            check(message["text"] == f"<img src=x onerror=alert(1)> says {message['by']}"
                  and message["elements"] == 0, f"{message}")
    check(all(seen["typing"].values()), f"{seen['typing']}")
    check(any("Slower" in note for note in seen["flood"]["notes"]) and seen["flood"]["others"] == 0, f"{seen['flood']}")


def ladder(run, browser, mid_session):
    """The chat goes on over WebSocket when UDP stops passing, or begins with it where none ever did."""
    with Namespace() as namespace:
        # What is silent for so long is lost, to either side. Firefox sends something every few
        # seconds; Chromium leaves it to the server to keep a silent session, which does every 20 s.
        timeout, idle = ("25s", 30) if browser == "chromium" else ("6s", 8)
        server = run.subject.serve(run, log=True, namespace=namespace,
                                   flags=("--idle-timeout", timeout))
        arguments = {"browser": browser, "path": peer_path(browser), "url": server.url()}
        if browser == "chromium":
            arguments |= {"module": peer_path("playwright-core"), "spki": run.certs.spki,
                          "quic": mid_session}
        else:
            arguments |= {"module": peer_path("puppeteer-core"), "profile": firefox_profile(run, run.folder)}
        if mid_session:
            arguments |= {"idle": idle, "drop": namespace.dropping_udp(server.port)}
        else:
            namespace.drop_udp(server.port)
        command = ["node", INTEROP / "drivers/ladder_browser.mjs", json.dumps(arguments)]
        status, text = run.run(browser, namespace.command(command), timeout=150)
        lines = [line for line in text.splitlines() if line.startswith("{\"browser\"")]
        check(status == 0 and lines, f"the browser failed ({status}): {last_lines(text)}")
        seen = json.loads(lines[-1])
        check(namespace.dropped() > 0, "the browser sent nothing over UDP")
    check(seen["first"] == ("h3" if mid_session else "websocket"), f"{seen}")
    check(seen["stayed"], f"a session in which nobody says anything does not last: {seen}")
    if mid_session:
        check(seen["second"] == "websocket" and seen["seconds"] < 60, f"{seen}")
        check("after" in seen["said"], f"{seen}")


for _browser in ("chromium", "firefox"):
    case(f"{_browser}/webtransport-ladder", _browser, 6, browser=_browser,
         mid_session=False)(ladder)
    case(f"{_browser}/webtransport-udp-ends", _browser, 60 if _browser == "chromium" else 20, browser=_browser,
         mid_session=True)(ladder)


@case("deno/webtransport-client", "deno", 5)
def deno_client(run):
    server = run.subject.serve(run, log=True)
    command = ["env", f"DENO_CERT={run.certs.ca}", f"DENO_DIR={run.folder}/deno", peer_path("deno"),
               "run", "--unstable-net", "--allow-net", "--allow-env",
               INTEROP / "drivers/deno_wt_client.js", f"https://localhost:{server.port}"]
    status, text = run.run("deno", command, timeout=60)
    lines = [line for line in text.splitlines() if line.startswith("{\"client\"")]
    check(status == 0 and lines, f"deno failed ({status}): {last_lines(text)}")
    seen = json.loads(lines[-1])
    check(seen["bidirectional"] == [True] * 4, f"{seen}")
    check(seen["datagrams"] == 10, f"{seen}")
    check(seen["closed"] == "closed" and seen["nowhere"] == "refused", f"{seen}")


@case("deno/webtransport-server", "deno", 5)
def deno_server(run):
    port = free_port()
    process = run.start("deno", [
        "env", f"DENO_DIR={run.folder}/deno", peer_path("deno"), "run", "--unstable-net",
        "--allow-net", "--allow-read", INTEROP / "drivers/deno_wt_server.js", str(port),
        run.certs.cert, run.certs.key])
    wait_for_quic(process, port)
    lines = [f"line {i} " + "ä" * i for i in range(100)]
    for flags in (["--wait", "1s"], ["--datagrams"]):
        seen, status = run.subject.webtransport(run, f"https://localhost:{port}/wt", *flags,
                                                messages=lines)
        check(status == 0, f"`tern wt` exited with {status}: {seen.get('error')}")
        check(seen["carrier"] == "h3", f"{seen}")
        got = [each["text"] for each in seen["received"]]
        if flags == ["--datagrams"]:  # deno keeps one that it has not echoed yet, and drops the rest
            check(got and set(got) <= set(lines), f"{got[:3]}")
        else:
            check(got == ["".join(line + "\n" for line in lines)], f"not what was sent: {got[:1]}")


def moq(role, *arguments, ca=""):
    """Its native part wants a newer libc than Debian 12's."""
    binds = [(INTEROP / "drivers", "/srv/drivers"), (peer_path("moq"), "/srv/moq")]
    return in_chroot(binds, ["env", f"SSL_CERT_FILE={ca}", "node", "/srv/drivers/moq_wt.mjs", role,
                             "/srv/moq", *arguments])


# By its native interface, which shows what a page's does not: the code of a close, a rejection.
@case("moq/webtransport-client", "moq", 3)
def moq_client(run):
    server = run.subject.serve(run, log=True)
    status, text = run.run("moq", moq("client", f"https://localhost:{server.port}", ca=run.certs.ca),
                           timeout=90)
    lines = [line for line in text.splitlines() if line.startswith("{\"client\"")]
    check(status == 0 and lines, f"the client failed ({status}): {last_lines(text)}")
    seen = json.loads(lines[-1])
    check(seen["protocol"] == "echo v1", f"{seen}")
    check(seen["bidirectional"] == [True] * 4, f"{seen}")
    check(seen["unidirectional"] == ["one", "three", "two"], f"{seen}")
    check("77" in seen["reset"], f"{seen}")
    check(seen["datagrams"] == 10 and seen["closed"] == "closed", f"{seen}")
    check("405" in seen["nowhere"], f"{seen}")


@case("moq/webtransport-server", "moq", 3)
def moq_server(run):
    port = free_port()
    process = run.start("moq", moq("server", str(port), run.certs.cert, run.certs.key))
    wait_for_quic(process, port)
    lines = [f"line {i} " + "ä" * i for i in range(100)]
    for flags, expected in [(["--wait", "1s"], ["".join(line + "\n" for line in lines)]),
                            (["--uni", "--wait", "1s"], lines), (["--datagrams"], lines)]:
        seen, status = run.subject.webtransport(run, f"https://localhost:{port}/wt", *flags,
                                                messages=lines)
        check(status == 0, f"`tern wt` exited with {status}: {seen.get('error')}")
        check(seen["carrier"] == "h3", f"{seen}")
        got = [each["text"] for each in seen["received"]]
        check(sorted(got) == sorted(expected), f"not what was sent with {flags}: {got[:3]}")
        check(seen["close"] == {"code": 0, "reason": "", "by": "client"}, f"{seen['close']}")
    seen, _ = run.subject.webtransport(run, f"https://localhost:{port}/wt", "--wait", "5s",
                                       messages=["close"])
    check(seen["close"] == {"code": 7, "reason": "seen", "by": "server"}, f"{seen}")

# Over HTTP/2: capsules, windows of 16 KiB that grow, and streams of somebody else's making. (What its driver puts right for
# that, and what is left out, is in docs/webtransport.md.)
@case("fails/webtransport-http2-client", "fails", 1)
def fails_client(run):
    server = run.subject.serve(run, log=True)
    command = ["env", f"NODE_EXTRA_CA_CERTS={run.certs.ca}", "node", INTEROP / "drivers/fails_wt.mjs",
               "client", peer_path("fails"), f"https://localhost:{server.port}/wt/echo"]
    status, text = run.run("fails", command, timeout=90)
    lines = [line for line in text.splitlines() if line.startswith("{\"client\"")]
    check(status == 0 and lines, f"the client failed ({status}): {last_lines(text)}")
    seen = json.loads(lines[-1])
    check(seen["bidirectional"] == [True] * 4, f"{seen}")
    check(seen["many"] == 90, f"{seen}")
    check(seen["datagrams"] == 10 and seen["closed"]["closeCode"] == 7, f"{seen}")


@case("fails/webtransport-http2-server", "fails", 1)
def fails_server(run):
    port = free_port()
    process = run.start("fails", ["node", INTEROP / "drivers/fails_wt.mjs", "server", peer_path("fails"),
                                  str(port), run.certs.cert, run.certs.key])
    wait_for_text(process, "listening", timeout=20.0)
    lines = [f"line {i} " + "ä" * i for i in range(100)]
    for flags, expected in [(["--wait", "1s"], ["".join(line + "\n" for line in lines)]),
                            (["--datagrams"], lines)]:
        seen, status = run.subject.webtransport(run, f"https://localhost:{port}/wt", "--carrier", "h2", *flags,
                                                messages=lines)
        check(status == 0, f"`tern wt` exited with {status}: {seen.get('error')}")
        check(seen["carrier"] == "h2", f"{seen}")
        got = [each["text"] for each in seen["received"]]
        check(got == expected, f"not what was sent with {flags}: {got[:3]}")
        check(seen["close"] == {"code": 0, "reason": "", "by": "client"}, f"{seen['close']}")


@case("chromium/webtransport-first-byte", "chromium", 7)
def first_byte(run):
    """Round trips from a loaded page to the first byte of a session: the best of some, as a busy
    machine adds to each and takes from none."""
    delay = 50  # ms, each way
    relay = Relay(run, run.subject.serve(run).port, "--delay", f"{delay}ms")
    arguments = {"module": peer_path("playwright-core"), "browser": peer_path("chromium"),
                 "spki": run.certs.spki, "url": relay.serving().url("/hello"), "tries": 5}
    status, text = run.run("chromium", ["node", INTEROP / "drivers/chromium_first_byte.mjs",
                                        json.dumps(arguments)], timeout=120)
    lines = [line for line in text.splitlines() if line.startswith("{\"browser\"")]
    check(status == 0 and lines, f"the browser failed ({status}): {last_lines(text)}")
    seen = json.loads(lines[-1])
    trips = {what: {kind: min(each[kind] for each in seen[what]) / (2 * delay)
                    for kind in ("ready", "first")} for what in ("room", "echo")}
    # A handshake, and the CONNECT with what a server says at once.
    check(trips["room"]["first"] <= 3, f"round trips: {trips}")
    # One more for an answer; Chromium's own time on top.
    check(trips["echo"]["first"] <= 4, f"round trips: {trips}")
    check(min(trips["room"]["ready"], trips["echo"]["ready"]) >= 1.9, f"too few to be true: {trips}")
