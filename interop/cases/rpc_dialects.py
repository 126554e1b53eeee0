"""RPC's dialects: examples/greeter_server and clients nobody here wrote.

The greeter says over which version of HTTP it was called, so what each reply says is also the proof
of the wire.
"""

import base64
import json
import os
import re
import subprocess

from harness.browser import chromium, over_tcp
from harness.matrix import case
from harness.process import INTEROP, NotRun, check, free_port, peer_path, wait_for_quic
from harness.servers import in_chroot
from harness.tern import last_lines

SERVICE = "greeter.v1.Greeter"
PROTO = INTEROP.parent / "examples/greeter/greeter.proto"
INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNIMPLEMENTED = 3, 4, 12


def greeter(run, port=None):
    """The example, serving; its URL."""
    if run.subject.name != "tern":
        raise NotRun("nothing stands in for tern here")
    path = os.environ.get("GREETER_SERVER") or run.subject.path.parent / "examples/greeter_server"
    port = port or free_port()
    process = run.start("greeter", [path, run.certs.cert, run.certs.key, f"[::]:{port}"])
    wait_for_quic(process, port)
    return f"https://localhost:{port}"


def schema(run):
    """The greeter's descriptor set."""
    target = run.folder / "greeter.binpb"
    done = subprocess.run(["protoc", f"-I{PROTO.parent}", f"-I{INTEROP.parent / 'rpc/proto'}",
                           "--include_imports", f"--descriptor_set_out={target}", PROTO],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"protoc: {last_lines(done.stderr)}")
    return target


def objects(text):
    """The JSON values that follow one another in `text`."""
    decoder, at, found = json.JSONDecoder(), 0, []
    text = text.strip()
    while at < len(text):
        value, end = decoder.raw_decode(text, at)
        found.append(value)
        while end < len(text) and text[end].isspace():
            end += 1
        at = end
    return found


# ---- buf curl (connect-go, quic-go) -------------------------------------------------------------

def buf(run, url, protocol, http, method, names, *flags, status=0):
    data = run.folder / "request.json"
    data.write_text("".join(json.dumps({"name": name}) for name in names), encoding="utf-8")
    command = [peer_path("buf"), "curl", "--cacert", run.certs.ca, "--protocol", protocol, *http,
               *flags, "-d", f"@{data}", f"{url}/{SERVICE}/{method}"]
    code, text = run.run("buf", command, timeout=60)
    check((code == 0) == (status == 0), f"buf curl exited with {code}: {last_lines(text)}")
    return objects(text)


@case("buf/grpc-h3", "buf", protocol="grpc", http=("--http3",), wire="h3")
@case("buf/grpc-web-h3", "buf", protocol="grpcweb", http=("--http3",), wire="h3")
@case("buf/connect-h3", "buf", protocol="connect", http=("--http3",), wire="h3")
@case("buf/grpc-h2", "buf", protocol="grpc", http=(), wire="h2")
@case("buf/grpc-web-h2", "buf", protocol="grpcweb", http=(), wire="h2")
@case("buf/connect-h2", "buf", protocol="connect", http=(), wire="h2")
def buf_curl(run, protocol, http, wire):
    url = greeter(run)
    for source in (("--reflect", "--reflect-protocol", "grpc-v1"),
                   ("--reflect", "--reflect-protocol", "grpc-v1alpha"),
                   ("--schema", schema(run))):
        said = buf(run, url, protocol, http, "SayHello", ["buf"], *source)
        check(said == [{"text": f"hello buf over {wire}"}], f"{said}")
    reflect = ("--reflect",)
    all_of_them = buf(run, url, protocol, http, "GreetAll", ["a", "b", "c"], *reflect)
    check(all_of_them == [{"text": "hello a, b, c"}], f"{all_of_them}")
    stream = buf(run, url, protocol, http, "KeepSaying", ["d"], *reflect)
    check(stream == [{"text": f"hello d, {i}"} for i in range(1, 11)], f"{stream}")
    chat = buf(run, url, protocol, http, "Chat", ["e", "f"], *reflect)
    check(chat == [{"text": "hello e"}, {"text": "hello f"}], f"{chat}")
    refused = buf(run, url, protocol, http, "SayHello", [""], *reflect, status=1)
    check(refused == [{"code": "invalid_argument", "message": "no name"}], f"{refused}")


# ---- grpc-js -------------------------------------------------------------------------------------

@case("grpcjs/greeter", "grpcjs")
def grpcjs_greeter(run):
    target = greeter(run).removeprefix("https://")
    status, text = run.run("grpc-js", ["node", INTEROP / "drivers/grpcjs_greeter.mjs", peer_path("grpcjs"), PROTO,
                                       INTEROP.parent / "rpc/proto", target, run.certs.ca], timeout=60)
    check(status == 0, f"it exited with {status}: {last_lines(text)}")
    seen = json.loads(text.splitlines()[-1])
    check(seen["unary"] == "hello ä over h2" and seen["all"] == "hello a, b, c", f"{seen}")
    check(seen["failure"] == {"code": INVALID_ARGUMENT, "message": "no name"}, f"{seen['failure']}")
    check(seen["stream"] == [f"hello b, {i}" for i in range(1, 11)], f"{seen['stream']}")
    check(seen["timeout"]["code"] == DEADLINE_EXCEEDED and seen["timeout"]["all"], f"{seen['timeout']}")
    check(seen["chat"] == ["hello a", "hello b"], f"{seen['chat']}")


# ---- Connect for ECMAScript ----------------------------------------------------------------------

def bundle(run, source, platform):
    """A driver with its modules in one file, which esbuild makes."""
    modules = peer_path("connect")
    target = run.folder / source.replace(".mjs", ".js" if platform == "browser" else ".bundle.mjs")
    kind = "iife" if platform == "browser" else "esm"
    done = subprocess.run(
        [f"{modules}/.bin/esbuild", INTEROP / "drivers" / source, "--bundle", f"--platform={platform}",
         f"--format={kind}", f"--outfile={target}", "--log-level=warning"],
        env=os.environ | {"NODE_PATH": modules}, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"esbuild: {last_lines(done.stderr)}")
    return target


def expect_calls(seen, wire, streams, content_type):
    check("failed" not in seen, f"{seen}")
    check(seen["unary"] == f"hello ä over {wire}", f"{seen['unary']}")
    check(seen["stream"] == [f"hello b, {i}" for i in range(1, 11)], f"{seen['stream']}")
    check(seen["failure"] == {"code": INVALID_ARGUMENT, "message": "no name"}, f"{seen['failure']}")
    check(seen["timeout"]["code"] == DEADLINE_EXCEEDED, f"{seen['timeout']}")
    check(seen["many"] == 50, f"{seen['many']} of 50 calls at once")
    check(seen["headers"]["type"] == content_type, f"{seen['headers']}")
    if streams:
        check(seen["all"] == "hello a, b, c", f"{seen['all']}")
        check(seen["chat"] == ["hello a", "hello b"] and seen["silent"] == [], f"{seen}")


@case("connect-node/grpc-h2", "connect", protocol="grpc", http="2", content_type="application/grpc")
@case("connect-node/grpc-web-h2", "connect", protocol="grpcweb", http="2",
      content_type="application/grpc-web+proto")
@case("connect-node/grpc-web-http1.1", "connect", protocol="grpcweb", http="1.1",
      content_type="application/grpc-web+proto")
@case("connect-node/connect-h2", "connect", protocol="connect", http="2",
      content_type="application/proto")
@case("connect-node/connect-json-h2", "connect", protocol="connect", http="2", as_json=True,
      content_type="application/json")
@case("connect-node/connect-get-http1.1", "connect", protocol="connect", http="1.1", get=True,
      content_type="application/proto")
def connect_node(run, protocol, http, content_type, as_json=False, get=False):
    modules = peer_path("connect")
    url = greeter(run)
    arguments = {"modules": modules, "url": url, "schema": str(schema(run)), "protocol": protocol,
                 "http": http, "json": as_json, "get": get}
    status, text = run.run("connect-node", ["env", f"NODE_EXTRA_CA_CERTS={run.certs.ca}", "node",
                                            bundle(run, "connect_client.mjs", "node"),
                                            json.dumps(arguments)], timeout=60)
    check(status == 0, f"it exited with {status}: {last_lines(text)}")
    seen = json.loads([line for line in text.splitlines() if line.startswith("{")][-1])
    expect_calls(seen, "h2" if http == "2" else "http/1.1", http == "2", content_type)


def expect_streams(seen, wire):
    """Calls over WebTransport, as examples/greeter/webtransport_call.mjs makes them."""
    check("failed" not in seen, f"{wire}: {seen}")
    check(seen["unary"] == [f"hello ä over {wire}"], f"{seen['unary']}")
    check(seen["stream"] == [f"hello b, {i}" for i in range(1, 11)], f"{seen['stream']}")
    check(seen["all"] == ["hello a, b, c"], f"{seen['all']}")
    check(seen["chat"] == ["hello p", "hello q", "hello r", True], f"{seen['chat']}")
    check(seen["failure"] == {"code": INVALID_ARGUMENT, "message": "no name"}, f"{seen['failure']}")
    check(seen["unknown"] == UNIMPLEMENTED, f"{seen['unknown']}")
    check(seen["many"] == 50, f"{seen['many']} of 50 calls at once")


# ---- pages ----------------------------------------------------------------------------------------

@case("chromium/rpc-h3", "connect", quic=True, wire="h3")
@case("chromium/rpc-h2", "connect", quic=False, wire="h2")
def chromium_rpc(run, quic, wire):
    script = bundle(run, "page_rpc.mjs", "browser")
    browser = chromium(run) if quic else over_tcp(run, "chromium", "h2")
    service = greeter(run, browser.ports.popleft())
    page = run.subject.serve(run, port=browser.ports.popleft())  # another port, and so another origin
    seen = browser.drive("browser_rpc", {
        "url": page.url(), "service": service, "script": str(script), "native": quic,
        "schema": base64.b64encode(schema(run).read_bytes()).decode()})
    expect_calls(seen["connect"], wire, False, "application/json")
    expect_calls(seen["connect_binary"], wire, False, "application/proto")
    expect_calls(seen["connect_get"], wire, False, "application/json")
    expect_calls(seen["grpc_web"], wire, False, "application/grpc-web+proto")
    for name in ("google_text", "google_binary"):
        google = seen[name]
        check(google.get("unary") == f"hello ä over {wire}", f"{name}: {google}")
        check(google["failure"] == {"code": INVALID_ARGUMENT, "message": "no name"}, f"{google}")
        check(google["stream"] == [f"hello b, {i}" for i in range(1, 11)], f"{google}")
    check(seen["rest"] == {"text": f"hello page over {wire}"}, f"{seen['rest']}")
    check(seen["socket"] == {"texts": ["hello a", "hello b", "hello c"], "code": 1000}, f"{seen['socket']}")
    if quic:  # a certificate of no known root is not taken for QUIC otherwise
        expect_streams(seen["streams"], "webtransport/h3")
    expect_streams(seen["streams_socket"], "webtransport/websocket")
    check(seen["refused"] == "refused", "PUT is not allowed to other origins' pages")


# ---- the Connect suite's cases ----------------------------------------------------------------------

@case("rpc-conformance", "buf", beside=20)
def rpc_conformance(run):
    """tern's client and server in two programs, each told what to do as the suite's runner does."""
    if run.subject.name != "tern":
        raise NotRun("nothing stands in for tern here")
    path = run.subject.path.parent / "tools/rpc_conformance/rpc_conformance"
    status, text = run.run("rpc", [INTEROP / "rpc", "--program", path], timeout=600)
    check(status == 0, f"it exited with {status}: {last_lines(text, 12)}")
    check(re.search(r"^\d{4,} passed, 0 failed$", text, re.MULTILINE), last_lines(text))


# ---- plain HTTP -----------------------------------------------------------------------------------

@case("curl/rest", "buf", beside=2, wires=(("--http2", "h2"), ("--http1.1", "http/1.1")))
@case("curl/rest-h3", "curl", wires=(("--http3-only", "h3"),))
def curl_rest(run, wires):
    """Debian's own curl, over TCP, as anybody has it; over HTTP/3 that of Debian 13."""
    url = greeter(run)

    def ask(*arguments):
        command = ["curl", "-sS", "--cacert", run.certs.ca, *arguments]
        status, text = run.run("curl", in_chroot([], command) if wires[0][1] == "h3" else command, timeout=30)
        check(status == 0, f"curl exited with {status}: {last_lines(text)}")
        return text
    for flag, wire in wires:
        said = json.loads(ask(flag, f"{url}/v1/hello/you"))
        check(said == {"text": f"hello you over {wire}"}, f"{said}")
        said = json.loads(ask(flag, "-H", "content-type: application/json", "-d", '{"name":"you"}',
                              f"{url}/{SERVICE}/SayHello"))
        check(said == {"text": f"hello you over {wire}"}, f"{said}")
        replies = json.loads(ask(flag, f"{url}/v1/hello/a:repeat"))
        check(replies == [{"text": f"hello a, {i}"} for i in range(1, 11)], f"{replies}")
        lines = ask(flag, "-H", "accept: application/x-ndjson", f"{url}/v1/hello/a:repeat")
        check([json.loads(line) for line in lines.splitlines()] == replies, f"{lines}")
        events = ask(flag, "-N", "-H", "accept: text/event-stream", f"{url}/v1/hello/a:repeat")
        check(events.count("data: {\"text\":") == 10 and events.endswith("event: end\ndata: {}\n\n"),
              f"{events}")
        answer = ask(flag, "-i", "-d", "{", "-H", "content-type: application/json",
                     f"{url}/{SERVICE}/SayHello")
        check(" 400" in answer.splitlines()[0] and '"code":"invalid_argument"' in answer, answer)
