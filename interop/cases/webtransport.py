"""WebTransport: browsers with tern-webtransport, on each carrier; and `tern wt` with aioquic's server."""

import json
import shutil

from cases.websockets import AIOQUIC, expect_carrier, logged
from harness.browser import (
    behind_walls, chromium, chromium_with_features, firefox, over_tcp, stranger, waved_through)
from harness.matrix import case
from harness.process import INTEROP, check, free_port, peer_path, wait_for_quic
from harness.relay import Relay
from harness.servers import in_chroot
from harness.tern import last_lines, wait_for_text


# Firefox's own streams do not tell the code they were reset with.
FIREFOX_RESET = "TypeError: Error in input stream"


def package(run):
    """tern-webtransport as npm would publish it, and as one file for pages: its folder. Built once for a run."""
    return run.once("tern-webtransport", lambda: build_package(run))


def build_package(run):
    folder = run.shared / "tern-webtransport"
    shutil.copytree(INTEROP.parent / "webtransport/js", folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    npm(run, folder / "build.mjs", "--typescript", peer_path("typescript"), "--esbuild", peer_path("esbuild"),
        "--page", folder / "page.js")
    return folder


def npm(run, *command):
    status, text = run.run("npm", ["node", *command], timeout=90)
    check(status == 0, f"{' '.join(map(str, command[:2]))}: {last_lines(text, 8)}")


@case("esbuild/tern-webtransport", "esbuild", 12)
def package_tests(run):
    """The package's build, which knows its size, and its tests; what the chat's page has of it is new."""
    folder = package(run)
    npm(run, f"{peer_path('typescript')}/bin/tsc", "-p", folder / "test/tsconfig.json")
    npm(run, "--test", folder / "test/")
    served = INTEROP.parent / "examples/chat/page/tern-webtransport.js"
    check((folder / "page.js").read_bytes() == served.read_bytes(),
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


def browser_page(run, name, browser, carriers, carrier, door, port=None, certs=None):
    """The page of tests in a shared browser. certs: that pages and sessions are not to trust by themselves."""
    namespace = browser.fleet.namespace
    server = run.subject.serve(run, log=True, namespace=namespace, port=port, certs=certs)
    if namespace:
        namespace.drop_udp(server.port)
    seen = browser.drive("browser_wt", {
        "url": server.url(), "package": str(package(run) / "dist/index.js"), "carriers": carriers,
        "hashes": [certs.sha256] if certs else None})
    # Sessions of Firefox's own know no application protocols (ESR 153), or do (159).
    native = name == "firefox" and carrier == "native"
    expect_page(seen, carrier, FIREFOX_RESET if native else 77, ["", "echo v1"] if native else ["echo v1"])
    expect_door(server, door)


# The same page on each carrier that a page has: the browser's own sessions over HTTP/3, and the package's
# over a WebSocket, which is a stream of HTTP/2 or a connection of HTTP/1.1.
def over_websocket(run, name, door):
    browser_page(run, name, over_tcp(run, name, door), ["websocket"], "websocket", door)


for _name in ("chromium", "firefox"):
    for _door in ("h2", "http/1.1"):
        case(f"{_name}/webtransport-websocket-{_door.replace('/', '')}", _name, name=_name, door=_door)(over_websocket)


@case("chromium/webtransport-h3", "chromium", browser=chromium)
@case("chromium/webtransport-h3-draft07", "chromium", browser=chromium_with_features)
def chromium_native(run, browser):
    used = browser(run)
    browser_page(run, "chromium", used, ["native"], "native", "h3", port=used.ports.popleft())


@case("firefox/webtransport-h3", "firefox")
def firefox_native(run):
    browser_page(run, "firefox", firefox(run), ["native"], "native", "h3")


# The page was waved through, as people do with development certificates; for sessions that counts
# for nothing, and the certificate's hash does.
@case("chromium/webtransport-hashes", "chromium")
def chromium_hashes(run):
    browser_page(run, "chromium", chromium(run), ["native"], "native", "h3", certs=stranger(run))


@case("firefox/webtransport-hashes", "firefox")
def firefox_hashes(run):
    browser_page(run, "firefox", firefox(run), ["native"], "native", "h3", port=waved_through(run), certs=stranger(run))


# Nobody answers on UDP: the package goes down by itself. The page came over TCP.
@case("chromium/webtransport-without-udp", "chromium", 12, name="chromium")
@case("firefox/webtransport-without-udp", "firefox", 12, name="firefox")
def without_udp(run, name):
    browser_page(run, name, behind_walls(run, name), ["native", "websocket"], "websocket", "h2")


# aioquic 1.2 speaks draft 02.
@case("aioquic-server/webtransport", "aioquic", 12)
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
    one, other = chromium(run), firefox(run)
    server = run.subject.serve(run, log=True, workers=2, port=one.ports.popleft())
    seen = one.drive("browser_chat", {"url": server.url()}, other)
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


def ladder(run, name, mid_session):
    """The chat goes on over WebSocket when UDP stops passing, or begins with it where none ever did."""
    browser = behind_walls(run, name)
    namespace = browser.fleet.namespace
    # What is silent for so long is lost, to either side. Firefox sends something every few
    # seconds; Chromium leaves it to the server to keep a silent session, which does every 20 s.
    timeout, idle = ("25s", 30) if name == "chromium" else ("6s", 8)
    port = browser.ports.popleft() if mid_session and name == "chromium" else None
    server = run.subject.serve(run, log=True, namespace=namespace, port=port, flags=("--idle-timeout", timeout))
    options = {"url": server.url()}
    if mid_session:
        options |= {"idle": idle, "drop": namespace.dropping_udp(server.port)}
    else:
        namespace.drop_udp(server.port)
    seen = browser.drive("browser_ladder", options)
    check(namespace.dropped(server.port) > 0, "the browser sent nothing over UDP")
    check(seen["first"] == ("h3" if mid_session else "websocket"), f"{seen}")
    check(seen["stayed"], f"a session in which nobody says anything does not last: {seen}")
    if mid_session:
        check(seen["second"] == "websocket" and "after" in seen["said"], f"{seen}")


for _browser in ("chromium", "firefox"):
    case(f"{_browser}/webtransport-ladder", _browser, 6, name=_browser, mid_session=False)(ladder)
    case(f"{_browser}/webtransport-udp-ends", _browser, 60 if _browser == "chromium" else 20, name=_browser,
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


@case("deno/webtransport-server", "deno", 12)
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


@case("chromium/webtransport-first-byte", "chromium", 20)
def first_byte(run):
    """Round trips from a loaded page to the first byte of a session: the best of some, each so long that what a busy machine
    adds to it is less than one more."""
    delay = 150  # ms, each way
    browser = chromium(run)
    relay = Relay(run, run.subject.serve(run).port, "--delay", f"{delay}ms", port=browser.ports.popleft())
    seen = browser.drive("browser_first_byte", {"url": f"https://127.0.0.1:{relay.port}/hello", "tries": 5})
    trips = {what: {kind: min(each[kind] for each in seen[what]) / (2 * delay)
                    for kind in ("ready", "first")} for what in ("room", "echo")}
    # A handshake, and the CONNECT with what a server says at once.
    check(trips["room"]["first"] <= 3, f"round trips: {trips}")
    # One more for an answer; Chromium's own time on top.
    check(trips["echo"]["first"] <= 4, f"round trips: {trips}")
    check(min(trips["room"]["ready"], trips["echo"]["ready"]) >= 1.9, f"too few to be true: {trips}")
