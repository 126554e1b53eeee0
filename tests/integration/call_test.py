"""`tern call` against examples/greeter: as people and scripts use it, and what it says when things
go wrong."""

import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from tern_program import HTTP3, PATIENCE, TERN, TernTest, environment, free_port

GREETER = os.environ["GREETER"]
SERVICE = "greeter.v1.Greeter"
PROTO = pathlib.Path(__file__).parents[2] / "examples" / "greeter" / "greeter.proto"
WIRES = [("grpc", "--http3-only"), ("grpc", "--http2"), ("grpc-web", "--http3-only"),
         ("grpc-web", "--http2"), ("grpc-web", "--http1.1"), ("connect", "--http3-only"),
         ("connect", "--http2"), ("connect", "--http1.1")]


class HostileServer:
    """An h2c server (as far as HTTP/2 must go) that answers each request with what it is told."""

    SETTINGS = b"\0\0\0\4\0\0\0\0\0"

    def __init__(self, body, endless=False, trailers=((b"grpc-status", b"0"),)):
        self.body, self.endless = body, endless
        self.trailers = b"".join(self.literal(*each) for each in trailers)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def frame(kind, flags, stream, payload):
        return (len(payload).to_bytes(3, "big") + bytes([kind, flags])
                + stream.to_bytes(4, "big") + payload)

    @staticmethod
    def literal(name, value):
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self._answer(connection, connection.makefile("rb"))
            except OSError:
                pass  # it has seen enough

    def _answer(self, connection, stream):
        stream.read(24)  # the preface
        connection.sendall(self.SETTINGS)
        while header := stream.read(9):
            kind, flags, number = header[3], header[4], int.from_bytes(header[5:9], "big")
            stream.read(int.from_bytes(header[:3], "big"))
            if kind == 4 and not flags & 1:
                connection.sendall(b"\0\0\0\4\1\0\0\0\0")
            if kind in (0, 1) and flags & 1:  # the end of a request
                head = b"\x88" + self.literal(b"content-type", b"application/grpc")
                connection.sendall(self.frame(1, 4, number, head))
                connection.sendall(self.frame(0, 0, number, self.body))
                if not self.endless:
                    connection.sendall(self.frame(1, 5, number, self.trailers))

    def stop(self):
        self.listener.close()


class CallTest(TernTest):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.tern("cert").returncode, 0)
        self.port = free_port()
        folder = self.home / "tern"
        server = subprocess.Popen([GREETER, folder / "cert.pem", folder / "key.pem",
                                   f"127.0.0.1:{self.port}"], stderr=subprocess.PIPE)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.url = f"https://localhost:{self.port}"
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with socket.socket() as tcp:
                if tcp.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        self.fail("the greeter does not listen")

    def trust(self):
        return ["--cacert", self.ca, "--resolve", f"localhost:{self.port}:127.0.0.1"]

    def call(self, method, *arguments, stdin=""):
        url = method if ":" in method else f"{self.url}/{SERVICE}/{method}"
        return self.tern("call", *self.trust(), *arguments, url, input=stdin)

    def hostile(self, body, **how):
        server = HostileServer(body, **how)
        self.addCleanup(server.stop)
        return f"http://127.0.0.1:{server.port}"

    def test_all_patterns_in_every_dialect(self):
        people = '{"name":"a"}\n{\n "name": "b"}{"name":"ä"}'
        for protocol, wire in WIRES:
            with self.subTest(protocol=protocol, wire=wire):
                how = ["--protocol", protocol, wire]
                done = self.call("SayHello", *how, "-d", '{"name":"you"}')
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                over = {"--http3-only": "h3", "--http2": "h2", "--http1.1": "http/1.1"}[wire]
                self.assertEqual(json.loads(done.stdout), {"text": f"hello you over {over}"})
                done = self.call("KeepSaying", *how, "-d", '{"name":"you"}')
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual([json.loads(line)["text"] for line in done.stdout.splitlines()],
                                 [f"hello you, {i}" for i in range(1, 11)])
                done = self.call("GreetAll", *how, stdin=people)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(json.loads(done.stdout), {"text": "hello a, b, ä"})
                done = self.call("Chat", *how, "-d", people)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual([json.loads(line)["text"] for line in done.stdout.splitlines()],
                                 ["hello a", "hello b", "hello ä"])

    def test_rest(self):
        for wire, over in (("--http3-only", "h3"), ("--http2", "h2"), ("--http1.1", "http/1.1")):
            with self.subTest(wire=wire):
                how = ["--protocol", "rest", wire]
                done = self.call("SayHello", *how, "-v", "-d", '{"name":"a/b ä?"}')
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout), {"text": f"hello a/b ä? over {over}"})
                self.assertIn("GET", done.stderr)
                self.assertIn("/v1/hello/a%2Fb%20%C3%A4%3F", done.stderr)
                done = self.call("KeepSaying", *how, "-d", '{"name":"you"}')
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual([json.loads(line)["text"] for line in done.stdout.splitlines()],
                                 [f"hello you, {i}" for i in range(1, 11)])
                # The deadline is the server's as well, which says so as a line or is cut off.
                done = self.call("KeepSaying", *how, "-m", "500ms", "-d", '{"name":"you"}')
                self.assertEqual(done.returncode, 68, done.stderr)
                self.assertIn("hello you, 1", done.stdout)
        # From a schema, not by reflection; by a rule of its own that the server does not have.
        done = self.call("SayHello", "--protocol", "rest", "--schema", PROTO, "-d", '{"name":"you"}')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        moved = self.home / "moved.proto"
        moved.write_text(PROTO.read_text().replace("/v1/hello/{name}\"", "/v2/hello/{name}\""))
        done = self.call("SayHello", "--protocol", "rest", "--schema", moved, "-d", '{"name":"you"}')
        self.assertEqual(done.returncode, 76, done.stderr)
        self.assertIn("UNIMPLEMENTED: HTTP status 404", done.stderr)

    def test_rest_says_what_it_cannot_call(self):
        done = self.call("SayHello", "--protocol", "rest")
        self.assertEqual((done.returncode, done.stdout), (67, ""))
        self.assertIn("INVALID_ARGUMENT: field name is in the path and not set", done.stderr)
        done = self.call("GreetAll", "--protocol", "rest", "-d", '{"name":"you"}')
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn(f"{SERVICE}/GreetAll has no google.api.http rule in the schema; "
                      "call it with --protocol grpc, grpc-web or connect", done.stderr)
        ruled = self.home / "ruled.proto"
        ruled.write_text(PROTO.read_text().replace(
            "rpc Chat(stream HelloRequest) returns (stream HelloReply);",
            "rpc Chat(stream HelloRequest) returns (stream HelloReply) {"
            " option (google.api.http) = { post: \"/v1/chat\" body: \"*\" }; }"))
        done = self.call("Chat", "--protocol", "rest", "--schema", ruled, "-d", '{"name":"you"}')
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("takes a stream of requests", done.stderr)
        # An error that the server sends: a name that is none for it.
        served = self.home / "served.proto"
        served.write_text(PROTO.read_text().replace("get: \"/v1/hello/{name}\"",
                                                    "post: \"/v1/hello/x\" body: \"*\""))
        done = self.call("SayHello", "--protocol", "rest", "--schema", served)
        self.assertEqual(done.returncode, 76, done.stderr)
        self.assertIn("UNIMPLEMENTED: the path is not for POST", done.stderr)

    def test_a_stream_is_answered_while_it_is_open(self):
        for wire in ("--http3-only", "--http2"):
            chat = subprocess.Popen([TERN, "call", *self.trust(), wire,
                                     f"{self.url}/{SERVICE}/Chat"], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                    env=environment(self.home))
            for name in ("one", "two", "three"):
                chat.stdin.write(json.dumps({"name": name}))
                chat.stdin.flush()
                self.assertEqual(json.loads(chat.stdout.readline()), {"text": f"hello {name}"})
            out, err = chat.communicate(timeout=PATIENCE)
            self.assertEqual((chat.returncode, out, err), (0, "", ""))

    def test_where_the_schema_comes_from(self):
        descriptors = self.folder / "greeter.binpb"
        protos = PROTO.parents[2] / "rpc" / "proto"
        subprocess.run(["protoc", f"-I{PROTO.parent}", f"-I{protos}", "--include_imports",
                        f"--descriptor_set_out={descriptors}", PROTO], check=True)
        for schema in ([], ["--schema", PROTO], ["--schema", descriptors],
                       ["--schema", "greeter.proto", "--proto-path", PROTO.parent]):
            done = self.call("SayHello", HTTP3, *schema, "-d", '{"name":"you"}')
            self.assertEqual((done.returncode, done.stdout), (0, '{"text":"hello you over h3"}\n'),
                             done.stderr)
            for where in ([self.url], [])[:2 if schema else 1]:
                listed = self.tern("call", *self.trust(), *schema, "--list", *where)
                self.assertEqual(listed.returncode, 0, listed.stderr)
                self.assertIn(SERVICE, listed.stdout.splitlines())
                described = self.tern("call", *self.trust(), *schema, "--describe",
                                      f"{SERVICE}/KeepSaying", *where)
                self.assertEqual(described.returncode, 0, described.stderr)
                self.assertIn("rpc KeepSaying(.greeter.v1.HelloRequest) returns "
                              "(stream .greeter.v1.HelloReply)", described.stdout)
                self.assertIn("string name = 1;", described.stdout)
        listed = self.tern("call", *self.trust(), "--list", f"{self.url}/{SERVICE}")
        self.assertEqual(listed.stdout.splitlines(),
                         [f"{SERVICE}/{m}" for m in ("SayHello", "KeepSaying", "GreetAll", "Chat")])
        for name, wrong in (("syntax.proto", 'syntax = "proto3";\nmessage A {\n  strin a = 1;\n}\n'),
                            ("import.proto", 'syntax = "proto3";\nimport "not/there.proto";\n'),
                            ("cycle.proto", 'syntax = "proto3";\nimport "cycle.proto";\n'),
                            ("not.binpb", "no descriptors")):
            path = self.folder / name
            path.write_text(wrong)
            done = self.tern("call", "--list", "--schema", path)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(name if name != "import.proto" else "not/there.proto", done.stderr)
        self.assertIn("syntax.proto:3:3", self.tern("call", "--list", "--schema",
                                                    self.folder / "syntax.proto").stderr)

    def test_names_that_are_nearly_right(self):
        of_server = ["call", *self.trust()]
        of_files = ["call", "--schema", PROTO]
        for code, text, arguments in [
                (69, "did you mean greeter.v1.HelloRequest?", [*of_server, "--describe", "HelloRequest", self.url]),
                (69, "did you mean greeter.v1.Greeter.SayHello?",
                 [*of_server, "--describe", f"{SERVICE}/SayHell", self.url]),
                (69, f"did you mean {SERVICE}?", [*of_server, "--list", f"{self.url}/greeter.v2.Greeter"]),
                (69, f"did you mean {SERVICE}?", [*of_server, f"{self.url}/greeter.v1.Greter/SayHello"]),
                (69, "tern call --list", [*of_server, "--describe", "Nothing.Like.It", self.url]),
                (2, "did you mean greeter.v1.HelloReply?", [*of_files, "--describe", "greeter.v1.Helloreply"]),
                (2, f"did you mean {SERVICE}?", [*of_files, *self.trust(), f"{self.url}/Greeter/SayHello"])]:
            with self.subTest(arguments=arguments):
                done = self.tern(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn(text, done.stderr)

    def test_webtransport(self):
        for carrier in ("--http3-only", "--http2", "--http1.1"):
            how = ["call", *self.trust(), "--protocol", "webtransport", carrier]
            with self.subTest(carrier=carrier):
                listed = self.tern(*how, "--list", f"{self.url}/rpc/")
                self.assertEqual(listed.returncode, 0, listed.stderr)
                self.assertIn(SERVICE, listed.stdout.splitlines())
                called = self.tern(*how, "-d", '{"name":"you"}', f"{self.url}/rpc/{SERVICE}/SayHello")
                self.assertEqual((called.returncode, called.stdout[:20]), (0, '{"text":"hello you o'), called.stderr)
                chat = self.tern(*how, "-d", '{"name":"a"}{"name":"b"}', f"{self.url}/rpc/{SERVICE}/Chat")
                self.assertEqual(chat.stdout, '{"text":"hello a"}\n{"text":"hello b"}\n', chat.stderr)
                refused = self.tern(*how, "-v", f"{self.url}/rpc/{SERVICE}/SayHello")
                self.assertIn(f"\n> /{SERVICE}/SayHello\n> content-type: application/grpc-web\n", refused.stderr)
                refused = self.tern(*how, f"{self.url}/rpc/{SERVICE}/SayHello")
                self.assertEqual((refused.returncode, refused.stderr), (67, "tern call: INVALID_ARGUMENT: no name\n"))
                nowhere = self.tern(*how, f"{self.url}/no/{SERVICE}/SayHello")
                self.assertEqual((nowhere.returncode, nowhere.stderr.count("\n")), (22, 1), nowhere.stderr)

    def test_json(self):
        done = self.call("SayHello", HTTP3, "--json", "-d", '{"name":"you"}')
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["exit_code"]), (0, 0))
        self.assertEqual(report["method"], f"{SERVICE}/SayHello")
        self.assertEqual(report["wire"], "h3")
        self.assertEqual(report["status"], {"code": 0, "name": "OK", "message": "", "details": []})
        self.assertEqual(report["messages"], [{"text": "hello you over h3"}])
        self.assertTrue(report["messages_complete"])
        self.assertEqual((report["sent"], report["received"]), (1, 1))
        report = json.loads(self.call("SayHello", "--json").stdout)
        self.assertEqual(report["exit_code"], 67)
        self.assertEqual(report["status"]["name"], "INVALID_ARGUMENT")
        self.assertEqual(report["status"]["message"], "no name")

    def test_metadata_and_get_are_sent(self):
        token = base64.b64encode(b"\0\xff").decode()
        done = self.call("SayHello", HTTP3, "-v", "-H", "X-Token: abc", "-H", f"x-bytes-bin: {token}",
                         "--compress", "gzip", "-d", '{"name":"you"}')
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in (f"> POST /{SERVICE}/SayHello HTTP/3", "> x-token: abc", "> x-bytes-bin: AP8",
                     "> grpc-encoding: gzip", "* OK over h3: 1 sent, 1 received in "):
            self.assertIn(line, done.stderr)
        done = self.call("SayHello", "-v", "--protocol", "connect", "--get", "-d", '{"name":"you"}')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"> GET /{SERVICE}/SayHello?", done.stderr)

    def test_what_goes_wrong(self):
        requests = self.folder / "requests.json"
        requests.write_text('{"name":"a"}\n{"name":7}\n')
        closed = f"https://localhost:{free_port()}/{SERVICE}/SayHello"
        for code, text, arguments in [
                (67, "INVALID_ARGUMENT: no name", ["SayHello"]),
                (68, "DEADLINE_EXCEEDED", ["KeepSaying", "--timeout", "150ms", "-d", '{"name":"x"}']),
                (69, "--list", [f"{self.url}/no.Such/Nope"]),
                (2, "SayHello, KeepSaying", ["Nope"]),
                (2, "takes one message", ["SayHello", "-d", "{}{}"]),
                (2, "nam", ["SayHello", "-d", '{"nam":"x"}']),
                (2, "has no end", ["SayHello", "-d", '{"name":']),
                (2, "requests.json, line 2", ["Chat", "-d", f"@{requests}"]),
                (26, "cannot be read", ["Chat", "-d", f"@{self.folder}/nothing"]),
                (2, "write it as", ["SayHello", "-H", "no colon"]),
                (2, "base64", ["SayHello", "-H", "a-bin: !"]),
                (2, "cannot be set", ["SayHello", "-H", "grpc-timeout: 1S"]),
                (2, "connect", ["SayHello", "--http1.1"]),
                (2, "--get", ["SayHello", "--get"]),
                (3, "names no method", [self.url + "/"]),
                (7, "nobody listens", [closed])]:
            with self.subTest(arguments=arguments):
                done = self.call(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn(text, done.stderr)
        stranger = self.tern("call", "--resolve", f"localhost:{self.port}:127.0.0.1",
                             f"{self.url}/{SERVICE}/SayHello")
        self.assertEqual(stranger.returncode, 60, stranger.stderr)
        self.assertIn("--cacert", stranger.stderr)
        lax = self.call("SayHello", "--allow-unknown-fields", "-d", '{"name":"x","nam":1}')
        self.assertEqual(lax.returncode, 0, lax.stderr)

    def test_details_of_a_status(self):
        def field(number, value):
            return bytes([number << 3 | 2, len(value)]) + value

        def status(kind, value):
            detail = field(1, b"type.googleapis.com/" + kind) + field(2, value)
            whole = b"\x08\x09" + field(2, b"no") + field(3, detail)
            return [(b"grpc-status", b"9"), (b"grpc-message", b"no"),
                    (b"grpc-status-details-bin", base64.b64encode(whole))]

        for kind, value, shown, parsed in [
                (b"google.rpc.ErrorInfo", b"\x0a\4WHY\x1b", '{"reason":"WHY\\u001b"}',
                 {"type": "google.rpc.ErrorInfo", "value": {"reason": "WHY\x1b"}}),
                (b"a.Stranger", b"\0\xff", "(2 bytes: 00ff)",
                 {"type": "a.Stranger", "base64": "AP8="})]:
            url = self.hostile(b"", trailers=status(kind, value)) + f"/{SERVICE}/SayHello"
            done = self.tern("call", "--schema", PROTO, url)
            self.assertEqual((done.returncode, done.stderr), (
                73, f"tern call: FAILED_PRECONDITION: no\n  {kind.decode()} {shown}\n"))
            report = json.loads(self.tern("call", "--json", "--schema", PROTO, url).stdout)
            self.assertEqual(report["status"], {"code": 9, "name": "FAILED_PRECONDITION",
                                                "message": "no", "details": [parsed]})

    def test_hostile_servers(self):
        schema = ["--schema", PROTO, "-d", "{}"]

        def message(payload):
            return b"\0" + len(payload).to_bytes(4, "big") + payload

        # HelloReply.text, with a byte that is no UTF-8.
        for code, text, body in [(77, "INTERNAL", message(b"\x0a\1\xff")),
                                 (77, "INTERNAL", message(b"\x0a\x7f")),
                                 (72, "--max-message", b"\0\x7f\xff\xff\xff"),
                                 (77, "INTERNAL", message(b"")[:3])]:
            done = self.tern("call", *schema, f"{self.hostile(body)}/{SERVICE}/SayHello")
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(text, done.stderr)
        # What drives a terminal is escaped.
        done = self.tern("call", *schema,
                         self.hostile(message(b"\x0a\6a\x1b[31m")) + f"/{SERVICE}/SayHello")
        self.assertEqual((done.returncode, done.stdout), (0, '{"text":"a\\u001b[31m"}\n'))
        # A call that never ends ends with its deadline.
        done = self.tern("call", *schema, "--timeout", "300ms",
                         self.hostile(message(b""), endless=True) + f"/{SERVICE}/KeepSaying")
        self.assertEqual((done.returncode, done.stdout), (68, "{}\n"), done.stderr)
        # Reflection: a file that is none, one that imports what is missing, itself, or nothing said.
        def files(*protos):
            inner = b"".join(b"\x0a" + bytes([len(p)]) + p for p in protos)
            return message(b"\x22" + bytes([len(inner)]) + inner)

        for body in (files(b"\xff"), files(b"\x0a\1a\x1a\1b"), files(b"\x0a\1a\x1a\1a"), b"",
                     files(), message(b"\x0a\1x")):
            done = self.tern("call", "-d", "{}", f"{self.hostile(body)}/{SERVICE}/SayHello")
            self.assertNotIn(done.returncode, (0, -signal.SIGSEGV, -signal.SIGABRT), body)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_ctrl_c_gives_up(self):
        waiting = subprocess.Popen([TERN, "call", *self.trust(), f"{self.url}/{SERVICE}/Chat"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment(self.home))
        waiting.stdin.write('{"name":"x"}')
        waiting.stdin.flush()
        waiting.stdout.readline()  # it is under way
        waiting.send_signal(signal.SIGINT)
        self.assertEqual(waiting.wait(timeout=PATIENCE), 130)
        out, err = waiting.communicate()
        self.assertIn("interrupted", err)


if __name__ == "__main__":
    import unittest
    unittest.main()
