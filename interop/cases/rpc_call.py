"""`tern call` against servers that nobody here wrote: gRPC's own in C++, whose reflection is v1alpha alone, in Python and
in JavaScript with the schema from a file; connect-node in every dialect."""

import base64
import json

from cases.rpc_dialects import SERVICE as GREETER
from cases.rpc_dialects import bundle
from cases.rpc_dialects import schema as greeter_schema
from cases.rpc_grpc import PEERS, PROTO
from harness.matrix import case
from harness.process import NotRun, check, free_port, peer_path, wait_for_tcp
from harness.tern import last_lines, wait_for_text

SERVICE = "grpc.testing.TestService"


class Caller:
    """`tern call` with what it takes to reach a server."""

    def __init__(self, run, url, *options, service=SERVICE):
        self.run, self.url, self.options, self.service = run, url, options, service
        self.tern = getattr(run.subject, "path", None)
        if self.tern is None:
            raise NotRun("the subject is not tern")
        self.count = 0

    def __call__(self, method, *arguments, code=0):
        """What the call's report (--json) says."""
        self.count += 1
        status, text = self.run.run(f"call-{self.count}", [
            self.tern, "call", "--json", *self.options, *arguments, f"{self.url}/{self.service}/{method}"], timeout=30)
        check(status == code, f"{method}: tern call exited with {status}: {last_lines(text)}")
        return json.loads(text.splitlines()[-1])

    def ask(self, *arguments):
        self.count += 1
        status, text = self.run.run(f"ask-{self.count}", [self.tern, "call", *self.options, *arguments], timeout=30)
        check(status == 0, f"{arguments}: tern call exited with {status}: {last_lines(text)}")
        return text


def sizes(report):
    return [len(base64.b64decode(message["payload"]["body"])) for message in report["messages"]]


def calls(call):
    """What all of them answer in the same way."""
    check(call("EmptyCall")["messages"] == [{}], "EmptyCall")
    report = call("UnaryCall", "-d", '{"responseSize": 31415}')
    check(sizes(report) == [31415], f"UnaryCall: {sizes(report)}")
    check(report["wire"] == "h2", report["wire"])
    report = call("UnaryCall", "-d", '{"response_status": {"code": 2, "message": "a ☺ \\n b"}}', code=66)
    check(report["status"]["message"] == "a ☺ \n b", f"{report['status']}")
    requests = "".join(json.dumps({"response_parameters": [{"size": size}]}) for size in (7, 0, 70000))
    report = call("FullDuplexCall", "-d", requests)
    expected = [7, 70000]
    found = [len(base64.b64decode(m.get("payload", {}).get("body", ""))) for m in report["messages"]]
    check([size for size in found if size] == expected and len(found) == 3, f"FullDuplexCall: {found}")
    check((report["sent"], report["received"]) == (3, 3), f"{report}")
    call("UnimplementedCall", code=76)


@case("grpcpp/reflection", "grpcpp")
def reflection(run):
    port = free_port()
    process = run.start("grpcpp", [peer_path("grpcpp"), str(port)])
    wait_for_text(process, "listening", timeout=20.0)
    wait_for_tcp(process, port)
    call = Caller(run, f"http://127.0.0.1:{port}")
    names = call.ask("--list", call.url).split()
    check(SERVICE in names and "grpc.reflection.v1alpha.ServerReflection" in names, f"{names}")
    methods = call.ask("--list", f"{call.url}/{SERVICE}").split()
    check(f"{SERVICE}/FullDuplexCall" in methods, f"{methods}")
    text = call.ask("--describe", f"{SERVICE}.UnaryCall", call.url)
    check("rpc UnaryCall(.grpc.testing.SimpleRequest)" in text and "message SimpleRequest" in text, text)
    calls(call)


def schema(run, peer):
    port = free_port()
    process = run.start(peer, PEERS[peer](run, "server", str(port), run.certs.cert, run.certs.key))
    wait_for_text(process, "listening", timeout=20.0)
    wait_for_tcp(process, port)
    call = Caller(run, f"https://localhost:{port}", "--cacert", run.certs.ca, "--schema", PROTO)
    calls(call)
    # What comes with a call, and goes back.
    token = base64.b64encode(b"\xab\xab\xab").decode()
    report = call("UnaryCall", "-d", '{"response_size": 1}', "-H", "x-grpc-test-echo-initial: a b",
                  "-H", f"x-grpc-test-echo-trailing-bin: {token}")
    check(["x-grpc-test-echo-initial", "a b"] in report["headers"], f"{report['headers']}")
    check(["x-grpc-test-echo-trailing-bin", token] in report["trailers"], f"{report['trailers']}")
    report = call("StreamingOutputCall", "-d", '{"response_parameters": [{"size": 1}, {"size": 31415}]}')
    check(sizes(report) == [1, 31415], f"StreamingOutputCall: {sizes(report)}")
    report = call("StreamingInputCall", "-d", '{"payload":{"body":"AAAA"}} {"payload":{"body":"AAA="}}')
    check(report["messages"] == [{"aggregatedPayloadSize": 5}], f"StreamingInputCall: {report['messages']}")


case("grpcio/call", "grpcio", peer="grpcio")(schema)
case("grpcjs/call", "grpcjs", peer="grpcjs")(schema)
case("grpcgo/call", "grpcgo", peer="grpcgo")(schema)


# ---- connect-node -------------------------------------------------------------------------------

def texts(report):
    return [message.get("text") for message in report["messages"]]


@case("connect-node/call-grpc-h2", "connect", protocol="grpc", http="--http2", wire="h2")
@case("connect-node/call-grpc-web-h2", "connect", protocol="grpc-web", http="--http2", wire="h2")
@case("connect-node/call-grpc-web-http1.1", "connect", protocol="grpc-web", http="--http1.1", wire="http/1.1")
@case("connect-node/call-connect-h2", "connect", protocol="connect", http="--http2", wire="h2")
@case("connect-node/call-connect-http1.1", "connect", protocol="connect", http="--http1.1", wire="http/1.1")
def connect_node_server(run, protocol, http, wire):
    port = free_port()
    descriptors = greeter_schema(run)
    process = run.start("connect-node", ["node", bundle(run, "connect_server.mjs", "node"), str(port),
                                         run.certs.cert, run.certs.key, descriptors])
    wait_for_text(process, "listening", timeout=20.0)
    call = Caller(run, f"https://localhost:{port}", "--cacert", run.certs.ca, "--schema", descriptors,
                  "--protocol", protocol, http, service=GREETER)
    report = call("SayHello", "-d", '{"name": "ä"}', "-H", "x-echo: there and back")
    check(texts(report) == ["hello ä"] and report["wire"] == wire, f"{report}")
    check(["x-echo", "there and back"] in report["headers"], f"{report['headers']}")
    check(["x-echo-end", "there and back"] in report["trailers"], f"{report['trailers']}")
    check(texts(call("SayHello", "-d", '{"name": "packed"}', "--compress", "gzip")) == ["hello packed"], "gzip")
    if protocol == "connect":
        check(texts(call("SayHello", "-d", '{"name": "got"}', "--get")) == ["hello got"], "GET")
    report = call("SayHello", code=67)
    check(report["status"]["message"] == "no näme", f"{report['status']}")
    stream = texts(call("KeepSaying", "-d", '{"name": "b"}'))
    check(stream == [f"hello b, {i}" for i in range(1, 11)], f"{stream}")
    check(len(texts(call("KeepSaying", "-d", '{"name": "slow"}', "--timeout", "500ms", code=68))) == 1, "a deadline")
    check(texts(call("GreetAll", "-d", '{"name": "a"} {"name": "b"}')) == ["hello a, b"], "GreetAll")
    chat = '{"name": "a"} {"name": "b"} {}'
    if wire == "http/1.1":  # connect-node says so to streams both ways
        check("505" in call("Chat", "-d", chat, code=66)["status"]["message"], "Chat")
        return
    report = call("Chat", "-d", chat, code=69)
    check(texts(report) == ["hello a", "hello b"] and report["status"]["message"] == "nobody", f"{report}")
