"""gRPC's interoperability tests with Python's grpcio: a client and a server of grpc.testing.TestService.

  grpcio_peer.py client STUBS HOST:PORT CA      prints {"case": "what was wrong, or empty"}
  grpcio_peer.py server STUBS PORT CERT KEY     says "listening", serves until it is ended

STUBS is a folder with test_pb2.py and test_pb2_grpc.py.
"""

import concurrent.futures
import json
import pathlib
import sys

import grpc

sys.path.insert(0, sys.argv[2])
import test_pb2 as pb  # noqa: E402
import test_pb2_grpc as stubs  # noqa: E402

INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
REQUESTS, RESPONSES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
MIB64 = 64 * 1024 * 1024


# ---- client -------------------------------------------------------------------------------------

def payload(size):
    return pb.Payload(body=bytes(size))


def large(**more):
    return pb.SimpleRequest(response_size=314159, payload=payload(271828), **more)


def output(size, body=0):
    return pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=size)], payload=payload(body))


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_error(code, work, details=None):
    try:
        work()
    except grpc.RpcError as error:
        expect(error.code() == code, f"{error.code()}: {error.details()}")
        expect(details is None or error.details() == details, repr(error.details()))
        return
    raise AssertionError(f"no {code}")


class Client:
    def __init__(self, channel):
        self.channel = channel
        self.stub = stubs.TestServiceStub(channel)

    def empty_unary(self):
        self.stub.EmptyCall(pb.Empty())

    def large_unary(self):
        expect(len(self.stub.UnaryCall(large()).payload.body) == 314159, "size")

    def client_compressed_unary(self):
        yes, no = pb.BoolValue(value=True), pb.BoolValue(value=False)
        expect_error(grpc.StatusCode.INVALID_ARGUMENT,
                     lambda: self.stub.UnaryCall(large(expect_compressed=yes)))
        self.stub.UnaryCall(large(expect_compressed=yes), compression=grpc.Compression.Gzip)
        self.stub.UnaryCall(large(expect_compressed=no))

    def server_compressed_unary(self):
        for wanted in (True, False):  # grpcio does not tell which it was; it has to read both
            answer = self.stub.UnaryCall(large(response_compressed=pb.BoolValue(value=wanted)))
            expect(len(answer.payload.body) == 314159, "size")

    def client_streaming(self):
        requests = (pb.StreamingInputCallRequest(payload=payload(size)) for size in REQUESTS)
        size = self.stub.StreamingInputCall(requests).aggregated_payload_size
        expect(size == 74922, size)

    def server_streaming(self):
        request = pb.StreamingOutputCallRequest(
            response_parameters=[pb.ResponseParameters(size=size) for size in RESPONSES])
        sizes = [len(each.payload.body) for each in self.stub.StreamingOutputCall(request)]
        expect(sizes == list(RESPONSES), sizes)

    def server_compressed_streaming(self):
        request = pb.StreamingOutputCallRequest(response_parameters=[
            pb.ResponseParameters(size=31415, compressed=pb.BoolValue(value=True)),
            pb.ResponseParameters(size=92653, compressed=pb.BoolValue(value=False))])
        sizes = [len(each.payload.body) for each in self.stub.StreamingOutputCall(request)]
        expect(sizes == [31415, 92653], sizes)

    def ping_pong(self):
        requests = (output(response, request) for response, request in zip(RESPONSES, REQUESTS))
        sizes = [len(each.payload.body) for each in self.stub.FullDuplexCall(requests)]
        expect(sizes == list(RESPONSES), sizes)

    def half_duplex(self):
        requests = (output(response, request) for response, request in zip(RESPONSES, REQUESTS))
        sizes = [len(each.payload.body) for each in self.stub.HalfDuplexCall(requests)]
        expect(sizes == list(RESPONSES), sizes)

    def empty_stream(self):
        expect(not list(self.stub.FullDuplexCall(iter(()))), "a response")

    def custom_metadata(self):
        sent = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))
        _, call = self.stub.UnaryCall.with_call(large(), metadata=sent)
        stream = self.stub.FullDuplexCall(iter([output(314159, 271828)]), metadata=sent)
        expect(len(list(stream)) == 1, "responses")
        for each in (call, stream):
            expect(sent[0] in list(map(tuple, each.initial_metadata())), each.initial_metadata())
            expect(sent[1] in list(map(tuple, each.trailing_metadata())), each.trailing_metadata())

    def status_code_and_message(self):
        status = pb.EchoStatus(code=2, message="test status message")
        expect_error(grpc.StatusCode.UNKNOWN, lambda: self.stub.UnaryCall(
            pb.SimpleRequest(response_status=status)), status.message)
        expect_error(grpc.StatusCode.UNKNOWN, lambda: list(self.stub.FullDuplexCall(iter(
            [pb.StreamingOutputCallRequest(response_status=status)]))), status.message)

    def all_codes(self):
        for code in grpc.StatusCode:
            if code == grpc.StatusCode.OK:
                continue
            status = pb.EchoStatus(code=code.value[0], message="x")
            expect_error(code, lambda asked=status: self.stub.UnaryCall(
                pb.SimpleRequest(response_status=asked)), "x")

    def special_status_message(self):
        expect_error(grpc.StatusCode.UNKNOWN, lambda: self.stub.UnaryCall(pb.SimpleRequest(
            response_status=pb.EchoStatus(code=2, message=SPECIAL))), SPECIAL)

    def unimplemented_method(self):
        expect_error(grpc.StatusCode.UNIMPLEMENTED, lambda: self.stub.UnimplementedCall(pb.Empty()))

    def unimplemented_service(self):
        stub = stubs.UnimplementedServiceStub(self.channel)
        expect_error(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.UnimplementedCall(pb.Empty()))

    def cancel_after_begin(self):
        def requests():
            wait.result(timeout=10)
            yield from ()
        wait = concurrent.futures.Future()
        call = self.stub.StreamingInputCall.future(requests())
        call.cancel()
        wait.set_result(None)
        expect(call.cancelled() and call.code() == grpc.StatusCode.CANCELLED, call.code())

    def cancel_after_first_response(self):
        def requests():
            yield output(31415, 27182)
            wait.result(timeout=10)
        wait = concurrent.futures.Future()
        call = self.stub.FullDuplexCall(requests())
        next(call)
        call.cancel()
        wait.set_result(None)
        expect_error(grpc.StatusCode.CANCELLED, lambda: next(call))

    def timeout_on_sleeping_server(self):
        request = pb.StreamingOutputCallRequest(payload=payload(27182), response_parameters=[
            pb.ResponseParameters(size=1, interval_us=5_000_000)])
        expect_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                     lambda: list(self.stub.FullDuplexCall(iter([request]), timeout=0.001)))
        expect_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                     lambda: list(self.stub.StreamingOutputCall(request, timeout=0.3)))

    def concurrent_large_unary(self):
        calls = [self.stub.UnaryCall.future(large()) for _ in range(100)]
        expect(all(len(call.result().payload.body) == 314159 for call in calls), "size")

    def too_large(self):
        body = payload(5 * 1024 * 1024)
        expect_error(grpc.StatusCode.RESOURCE_EXHAUSTED,
                     lambda: self.stub.UnaryCall(pb.SimpleRequest(payload=body)))


def client(target, ca):
    credentials = grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes())
    report = {}
    with grpc.secure_channel(target, credentials) as channel:
        tests = Client(channel)
        for name in [each for each in vars(Client) if not each.startswith("_")]:
            try:
                getattr(tests, name)()
                report[name] = ""
            except (AssertionError, grpc.RpcError) as error:
                report[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(report))


# ---- server -------------------------------------------------------------------------------------

def echo_metadata(context):
    received = dict(context.invocation_metadata())
    if INITIAL in received:
        context.send_initial_metadata(((INITIAL, received[INITIAL]),))
    if TRAILING in received:
        context.set_trailing_metadata(((TRAILING, received[TRAILING]),))


def end_as_asked(request, context):
    if request.response_status.code:
        code = next(each for each in grpc.StatusCode if each.value[0] == request.response_status.code)
        context.abort(code, request.response_status.message)


class Service(stubs.TestServiceServicer):
    def EmptyCall(self, request, context):
        return pb.Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        end_as_asked(request, context)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        return pb.SimpleResponse(payload=payload(request.response_size))

    def StreamingOutputCall(self, request, context):
        if any(each.compressed.value for each in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        for each in request.response_parameters:
            if each.HasField("compressed") and not each.compressed.value:
                context.disable_next_message_compression()
            yield pb.StreamingOutputCallResponse(payload=payload(each.size))

    def StreamingInputCall(self, requests, context):
        size = sum(len(each.payload.body) for each in requests)
        return pb.StreamingInputCallResponse(aggregated_payload_size=size)

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        for request in requests:
            end_as_asked(request, context)
            for each in request.response_parameters:
                yield pb.StreamingOutputCallResponse(payload=payload(each.size))


def server(port, cert, key):
    pair = [(pathlib.Path(key).read_bytes(), pathlib.Path(cert).read_bytes())]
    serving = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
    stubs.add_TestServiceServicer_to_server(Service(), serving)
    serving.add_secure_port(f"[::]:{port}", grpc.ssl_server_credentials(pair))
    serving.start()
    print("listening", flush=True)
    serving.wait_for_termination()


if __name__ == "__main__":
    {"client": client, "server": server}[sys.argv[1]](*sys.argv[3:])
