"""WebSockets and server-sent events: Chromium and Firefox, and aioquic on both sides.

What a WebSocket ran over is taken from the server's access log, as browsers do not tell.
"""

import json
import re
import time

from harness.browser import chromium_with_features, over_tcp
from harness.matrix import case
from harness.process import INTEROP, check, free_port, peer_path, wait_for_quic
from harness.servers import in_chroot
from harness.tern import last_lines

AIOQUIC = "/usr/share/doc/python-aioquic-doc/examples"


def logged(server, path, count, timeout=5.0):
    """The access log's lines about `path`, once there are `count` of them."""
    deadline = time.monotonic() + timeout
    while True:
        lines = [json.loads(line) for line in server.process.text().splitlines()
                 if line.startswith("{") and f'"path":"{path}' in line]
        if len(lines) >= count or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    check(len(lines) == count, f"{len(lines)} lines about {path} in the access log, not {count}")
    return lines


def expect_carrier(lines, carrier, status=200):
    for line in lines:
        check(line["protocol"] == carrier, f"it came over {line['protocol']}, not {carrier}")
        check(line["method"] == "CONNECT" and line["status"] == status, f"{line}")


# ---- browsers ---------------------------------------------------------------------------------

def browser_session(run, browser, way):
    if way == "h3":
        used = chromium_with_features(run)
        port = used.ports.popleft()
    else:
        used, port = over_tcp(run, browser, way), None
    server = run.subject.serve(run, log=True, port=port)
    return used.drive("browser_ws", {"url": server.url()}), server


def expect_talk(talk, messages, code=1000):
    check(talk["opened"], f"it did not open: {talk}")
    check(talk["messages"] == messages and talk["wrong"] == 0, f"{talk}")
    check(talk["code"] == code and talk["clean"], f"it ended with {talk['code']}: {talk}")


@case("firefox/websocket-http1.1", "firefox", browser="firefox", carrier="http/1.1")
@case("firefox/websocket-h2", "firefox", browser="firefox", carrier="h2")
@case("chromium/websocket-http1.1", "chromium", browser="chromium", carrier="http/1.1")
@case("chromium/websocket-h2", "chromium", browser="chromium", carrier="h2")
@case("chromium/websocket-h3", "chromium", browser="chromium", carrier="h3")
def browser_websocket(run, browser, carrier):
    seen, server = browser_session(run, browser, carrier)
    check(seen["navigation"] == carrier, f"the page came over {seen['navigation']}")
    expect_talk(seen["text"], 200)
    check("permessage-deflate" in seen["text"]["extensions"], f"{seen['text']}")
    expect_talk(seen["binary"], 3)
    expect_talk(seen["own_code"], 1, code=4321)
    for talk in seen["many"]:
        expect_talk(talk, 10)
    for refused in (seen["stranger"], seen["nowhere"]):
        check(not refused["opened"] and refused["code"] == 1006, f"{refused}")
    check(seen["events"]["ids"] == ["1", "2", "3"], f"events: {seen['events']}")
    check(seen["events"]["protocol"] == carrier, f"events: {seen['events']}")
    for name, panel in seen["panels"].items():
        check(panel["state"] == "done", f"panel {name}: {panel['text']}")
    # 23 by the script, one by the page's panel, and the stranger's.
    lines = logged(server, "/ws/echo", 25)
    expect_carrier([line for line in lines if line["status"] != 403], carrier)
    expect_carrier([line for line in lines if line["status"] == 403], carrier, status=403)
    check(sum(line["status"] == 403 for line in lines) == 1, "one was to be refused with 403")
    expect_carrier(logged(server, "/ws/nowhere", 1), carrier, status=405)


# ---- aioquic (RFC 9220), both sides -------------------------------------------------------------

@case("aioquic/websocket", "aioquic")
def aioquic_client(run):
    server = run.subject.serve(run, log=True)
    peer_path("aioquic")
    url = f"wss://localhost:{server.port}/ws/echo"
    status, text = run.run("aioquic", in_chroot([], [
        "python3", f"{AIOQUIC}/http3_client.py", "--ca-certs", run.certs.ca, url]), timeout=30)
    said = re.findall(r"^([<>]) (.*)$", text, re.MULTILINE)
    check(status == 0 and len(said) == 4, f"aioquic exited with {status}: {last_lines(text)}")
    for sent, got in zip(said[::2], said[1::2]):
        check(sent == (">", got[1]) and got[0] == "<", f"sent {sent}, got {got}")
    expect_carrier(logged(server, "/ws/echo", 1), "h3")


@case("aioquic-server/websocket", "aioquic")
def aioquic_server(run):
    peer_path("aioquic")
    port = free_port()
    process = run.start("aioquic", in_chroot([(INTEROP / "drivers", "/srv/drivers")], [
        "env", "PYTHONPATH=/srv/drivers", "PYTHONDONTWRITEBYTECODE=1",
        "python3", f"{AIOQUIC}/http3_server.py", "--host", "::", "--port", str(port),
        "--certificate", run.certs.cert, "--private-key", run.certs.key, "aioquic_files:app"]))
    wait_for_quic(process, port)
    messages = [f"message {i} " + "ä" * i for i in range(100)]
    seen, status = run.subject.websocket(run, f"wss://localhost:{port}/ws", "--protocol", "echo",
                                         "--wait", "2s", messages=messages)
    check(status == 0, f"`tern ws` exited with {status}: {seen.get('error')}")
    check(seen["carrier"] == "h3" and seen["protocol"] == "echo", f"{seen}")
    # The example sends back what has come of a message, so its parts may come back as messages.
    check("".join(each["text"] for each in seen["messages"]) == "".join(messages),
          "not what was sent")
    check(seen["close"] == {"code": 1000, "reason": "", "clean": True}, f"{seen['close']}")
