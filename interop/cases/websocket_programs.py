"""WebSockets with programs over HTTP/1.1 and HTTP/2: npm's ws, undici, Python's websockets, aiohttp, Tornado and libwebsockets as
clients of `tern serve` or as servers of `tern ws`, and proxies in between."""

import json

from harness.matrix import case
from harness.process import INTEROP, check, free_port, peer_path
from harness.proxies import start_proxy
from harness.tern import last_lines, wait_for_text

from cases.websockets import expect_carrier, logged

DRIVERS = INTEROP / "drivers"
CLOSED = {"code": 1000, "reason": "", "clean": True}
LEFT = {"code": 4002, "reason": "the server says so", "clean": True}


# ---- clients of `tern serve` --------------------------------------------------------------------

def report_of(run, name, command, mark):
    status, text = run.run(name, command, timeout=90)
    lines = [line for line in text.splitlines() if line.startswith(mark)]
    check(status == 0 and lines, f"{name} exited with {status}: {last_lines(text)}")
    return json.loads(lines[-1])


def serve(run, tls):
    """A server, and the URL of its echo."""
    server = run.subject.serve(run, log=True, clear=not tls)
    return server, (f"wss://localhost:{server.port}/ws/echo" if tls
                    else f"ws://127.0.0.1:{server.clear}/ws/echo")


def expect_echo(seen, count, code=1000, deflate=None):
    check(seen["messages"] == count and seen["wrong"] == 0 and seen["code"] == code, f"{seen}")
    if deflate is not None:
        check(("permessage-deflate" in seen["extensions"]) == deflate, f"{seen}")


def expect_common(seen, deflate=True):
    """What all the clients do."""
    expect_echo(seen["text"], 200, deflate=deflate)
    expect_echo(seen["binary"], 4)
    expect_echo(seen["own_code"], 1, code=4321)
    for each in seen["many"]:
        expect_echo(each, 10)


def js_client(run, client, conversations, tls=True):
    server, url = serve(run, tls)
    options = {"client": client, "module": peer_path(client), "url": url, "ca": str(run.certs.ca),
               "h2": False}
    seen = report_of(run, client, ["node", DRIVERS / "ws_client.mjs", json.dumps(options)],
                     '{"client"')
    expect_common(seen)
    lines = logged(server, "/ws/echo", conversations)
    expect_carrier([line for line in lines if line["status"] != 403], "http/1.1")
    return seen, server


def ws_client(run, tls):
    seen, server = js_client(run, "ws", 33, tls=tls)
    expect_echo(seen["plain"], 200, deflate=False)
    expect_echo(seen["small_windows"], 200, deflate=True)
    expect_echo(seen["own_origin"], 1)
    check(seen["no_code"]["code"] == 1005 and seen["no_code"]["clean"], f"{seen['no_code']}")
    for name in ("fragments", "fragments_deflated"):
        check(seen[name]["message"] == "one ä two three" and seen[name]["pong"] == "are you there",
              f"{name}: {seen[name]}")
    for name, code in (("not_utf8", 1007), ("not_masked", 1002), ("too_big", 1009)):
        check(seen[name]["code"] == code, f"{name}: {seen[name]}")
    check(not seen["stranger"]["opened"] and seen["stranger"]["status"] == 403,
          f"{seen['stranger']}")
    refused = [line for line in logged(server, "/ws/echo", 33) if line["status"] == 403]
    check(len(refused) == 1, f"{len(refused)} were refused")


case("ws/client", "ws", tls=True)(ws_client)
case("ws/client-without-tls", "ws", tls=False)(ws_client)


@case("undici/websocket", "undici")
def undici_client(run):
    js_client(run, "undici", 23)


def python_client(run, name, tls, conversations, *command, deflate=True):
    server, url = serve(run, tls)
    seen = report_of(run, name, [peer_path(name), *command, url, run.certs.ca], '{"version"')
    expect_common(seen, deflate)
    expect_echo(seen["plain"], 200, deflate=False)
    check(seen["stranger"] == {"status": 403}, f"{seen['stranger']}")
    lines = logged(server, "/ws/echo", conversations)
    expect_carrier([line for line in lines if line["status"] != 403], "http/1.1")
    return seen


@case("websockets/client", "websockets", tls=True)
@case("websockets/client-without-tls", "websockets", tls=False)
def websockets_client(run, tls):
    seen = python_client(run, "websockets", tls, 26, DRIVERS / "websockets_client.py")
    check(seen["fragments"]["message"] == "one ä two three", f"{seen['fragments']}")


@case("aiohttp/websocket-client", "aiohttp", name="aiohttp", tls=True)
@case("aiohttp/websocket-client-without-tls", "aiohttp", name="aiohttp", tls=False)
@case("tornado/websocket-client", "tornado", name="tornado", tls=True)
@case("tornado/websocket-client-without-tls", "tornado", name="tornado", tls=False)
def other_python_client(run, name, tls):
    python_client(run, name, tls, 25, DRIVERS / f"{name}_ws.py", "client",
                  deflate=name != "tornado")


@case("httpx/websocket-h2", "httpx", size=3_000_000, window=65_535, pause=0)
@case("httpx/websocket-h2-small-windows", "httpx", size=300_000, window=5_000, pause=0)
@case("httpx/websocket-h2-slow-reader", "httpx", size=300_000, window=16_384, pause=0.05)
def h2_client(run, size, window, pause):
    """httpx has no WebSockets; python3-h2, which it stands on, does what a window of the stream's allows, and sees to it that
    `tern serve` does."""
    _, url = serve(run, True)
    seen = report_of(run, "h2", [peer_path("httpx"), DRIVERS / "h2_ws_client.py", url, run.certs.ca, size, window, pause],
                     "{")
    check(seen.get("intact"), f"{seen}")
    check(seen["opened"] >= size // window, f"{seen}")


# ---- servers of `tern ws` -----------------------------------------------------------------------

def ws_server(run, tls, deflate=True):
    port = free_port()
    options = {"module": peer_path("ws"), "port": port, "deflate": deflate}
    if tls:
        options |= {"cert": str(run.certs.cert), "key": str(run.certs.key)}
    process = run.start("ws", ["node", DRIVERS / "ws_server.mjs", json.dumps(options)])
    wait_for_text(process, "READY", timeout=15.0)
    return f"{'wss' if tls else 'ws'}://localhost:{port}"


def program_server(run, name, tls, *command):
    """PORT [CERT KEY] behind its command."""
    port = free_port()
    files = [run.certs.cert, run.certs.key] if tls else []
    process = run.start(name, [peer_path(name), *command, port, *files])
    wait_for_text(process, "READY", timeout=15.0)
    return f"{'wss' if tls else 'ws'}://localhost:{port}"


MESSAGES = [f"message {i} " + "ä" * i for i in range(100)]
BINARY = bytes((i * 31 + (i >> 7)) % 256 for i in range(32_749)) * 96  # 3 MB, of a period that no block has


def expect_session(seen, status, messages, carrier, close=None, exit_status=0):
    check(status == exit_status, f"`tern ws` exited with {status}: {seen.get('error')}")
    check(seen["carrier"] == carrier, f"it ran over {seen['carrier']}")
    check([each["text"] for each in seen["messages"]] == messages, "not what was sent")
    check(seen["close"] == (close or CLOSED), f"{seen['close']}")


def expect_facts(run, url, carrier, compressed=True, flags=()):
    seen, status = run.subject.websocket(run, url, "--wait", "1s", *flags, messages=["x" * 1000])
    expect_session(seen, status, ["x" * 1000], carrier)
    check(seen["compressed"] == compressed, f"permessage-deflate: {seen['compressed']}")


def server_session(run, url, paths=("/echo", "/fragments"), flags=(), pause=(), compressed=True,
                   megabytes=True):
    """What all the servers can do. pause: flags that keep `tern ws` from closing at once."""
    lines = "".join(message + "\n" for message in MESSAGES).encode()
    for path in paths:
        check(run.subject.websocket_pipe(run, url + path, lines, *flags, *pause) == lines,
              f"lines came back from {path} otherwise")
    expect_facts(run, url + paths[-1], "http/1.1", compressed, flags)
    seen, status = run.subject.websocket(run, url + "/close", *flags, "--wait", "10s", messages=["x"])
    expect_session(seen, status, [], "http/1.1", exit_status=56, close=LEFT)
    if not megabytes:
        return
    # Lines of a MiB, and binary of 3 MiB in blocks.
    line = ("0123456789abcdef" * 65_536)[:-1] + "\n"
    check(run.subject.websocket_pipe(run, url + "/echo", (line * 3).encode(), *flags, *pause) ==
          (line * 3).encode(), "long lines came back otherwise")
    check(run.subject.websocket_pipe(run, url + "/echo", BINARY, "--binary", *flags, *pause) == BINARY,
          "binary came back otherwise")


@case("ws/server", "ws", tls=True)
@case("ws/server-without-tls", "ws", tls=False)
def ws_server_case(run, tls):
    url = ws_server(run, tls)
    server_session(run, url)
    seen, status = run.subject.websocket(run, url + "/chat", "--protocol", "chat.v2",
                                         "--protocol", "chat.v1", "--wait", "200ms")
    expect_session(seen, status, ["you speak chat.v1"], "http/1.1")
    check(seen["protocol"] == "chat.v1", f"{seen['protocol']}")
    seen, status = run.subject.websocket(run, url + "/refused", messages=["x"])
    check(status == 22 and "403 Forbidden" in seen["error"], f"{status}: {seen['error']}")


@case("ws/server-without-deflate", "ws")
def ws_server_plain(run):
    expect_facts(run, ws_server(run, True, deflate=False) + "/echo", "http/1.1", compressed=False)


@case("websockets/server", "websockets", tls=True)
@case("websockets/server-without-tls", "websockets", tls=False)
def websockets_server_case(run, tls):
    server_session(run, program_server(run, "websockets", tls, DRIVERS / "websockets_server.py"))


@case("aiohttp/websocket-server", "aiohttp", name="aiohttp", tls=True)
@case("aiohttp/websocket-server-without-tls", "aiohttp", name="aiohttp", tls=False)
@case("tornado/websocket-server", "tornado", name="tornado", tls=True)
@case("tornado/websocket-server-without-tls", "tornado", name="tornado", tls=False)
def other_python_server(run, name, tls):
    url = program_server(run, name, tls, DRIVERS / f"{name}_ws.py", "server")
    server_session(run, url, ["/echo"])


@case("libwebsockets/server", "libwebsockets", tls=True, deflate=True)
@case("libwebsockets/server-without-tls", "libwebsockets", tls=False, deflate=True)
@case("libwebsockets/server-without-deflate", "libwebsockets", 10, tls=True, deflate=False)
def libwebsockets_server(run, tls, deflate):
    """It answers a close frame at once, whatever has not been echoed yet: hence the wait. With permessage-deflate
    no megabytes: 4.1.6 sometimes begins to spin, and neither reads nor writes any more (docs/websocket.md)."""
    port = free_port()
    files = [run.certs.cert, run.certs.key] if tls else []
    process = run.start("libwebsockets", [peer_path("libwebsockets"), port, int(deflate), *files])
    wait_for_text(process, "READY", timeout=15.0)
    url = f"{'wss' if tls else 'ws'}://localhost:{port}"
    server_session(run, url, ["/echo"], flags=["--carrier", "http1.1"], pause=["--wait", "2s"],
                   compressed=deflate, megabytes=not deflate)
    if not tls:
        return
    # RFC 8441, which it has over TLS, without permessage-deflate. No megabytes: it does not keep to the stream's window
    # (docs/websocket.md).
    lines = "".join(message + "\n" for message in MESSAGES).encode()
    check(run.subject.websocket_pipe(run, url + "/echo", lines, "--wait", "1s") == lines,
          "lines came back over HTTP/2 otherwise")
    expect_facts(run, url + "/echo", "h2", compressed=False)
    seen, status = run.subject.websocket(run, url + "/close", "--wait", "10s", messages=["x"])
    expect_session(seen, status, [], "h2", exit_status=56, close=LEFT)


@case("node-server/websocket-h2", "chromium", slow=0)
@case("node-server/websocket-h2-slow-reader", "chromium", slow=5)
def node_h2_server(run, slow):
    """An echo of what comes, over HTTP/2, with the flow control of another nghttp2."""
    port = free_port()
    options = {"port": port, "cert": str(run.certs.cert), "key": str(run.certs.key), "slow": slow}
    process = run.start("node", ["node", DRIVERS / "node_ws_h2_server.mjs", json.dumps(options)])
    wait_for_text(process, "READY", timeout=15.0)
    url = f"wss://localhost:{port}/"
    flags = ["--binary", "--carrier", "h2"]
    check(run.subject.websocket_pipe(run, url, BINARY, *flags) == BINARY, "binary came back otherwise")
    line = ("0123456789abcdef" * 65_536)[:-1] + "\n"
    check(run.subject.websocket_pipe(run, url, (line * 3).encode(), "--carrier", "h2") == (line * 3).encode(),
          "long lines came back otherwise")


# ---- proxies in between -------------------------------------------------------------------------

def behind_proxy(run, proxy, carrier):
    """`tern ws` finds by itself in which version of HTTP the proxy has WebSockets: haproxy and lighttpd have them over
    HTTP/2, caddy of version 2.11 over HTTP/3. What reaches `tern serve` is an upgrade."""
    server = run.subject.serve(run, log=True, clear=True)
    port = start_proxy(run, proxy, f"127.0.0.1:{server.clear}")
    url = f"wss://localhost:{port}/ws/echo"
    if proxy == "caddy":
        seen, _ = run.subject.websocket(run, url, "--wait", "1s", messages=["x"])
        carrier = seen["carrier"]
        check(carrier in ("http/1.1", "h3"), f"it ran over {carrier}")
    expect_facts(run, url, carrier)
    check(run.subject.websocket_pipe(run, url, BINARY, "--binary", "--carrier", "http1.1") == BINARY,
          "binary came back otherwise")
    expect_carrier(logged(server, "/ws/echo", 3 if proxy == "caddy" else 2), "http/1.1")


for _proxy, _carrier in (("nginx", "http/1.1"), ("haproxy", "h2"), ("caddy", "http/1.1"), ("apache2", "http/1.1"),
                         ("lighttpd", "h2")):
    case(f"{_proxy}/websocket-proxy", _proxy, proxy=_proxy, carrier=_carrier)(behind_proxy)
