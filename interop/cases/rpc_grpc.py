"""gRPC's own interoperability cases, between tern's programs (tools/rpc_interop) and gRPC's implementations in
Python (grpcio, on the C++ core), JavaScript (@grpc/grpc-js) and Go (grpc-go), over HTTP/2. Over HTTP/3, tests/sim/rpc_test.cc
runs the same cases."""

import json

from harness.matrix import case
from harness.process import INTEROP, REPOSITORY, NotRun, check, free_port, peer_path, wait_for_tcp
from harness.tern import last_lines, wait_for_text

PROTO = REPOSITORY / "tools/rpc_interop/grpc/testing/test.proto"
DRIVERS = INTEROP / "drivers"
# What a server in any language can be asked: whether a request came compressed, most do not tell their service.
COMMON = ("empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
          "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
          "unimplemented_service", "cancel_after_begin", "cancel_after_first_response",
          "timeout_on_sleeping_server", "concurrent_large_unary", "rpc_soak")
COMPRESSED = ("server_compressed_unary", "server_compressed_streaming")


def program(run, side):
    tern = getattr(run.subject, "path", None)
    if tern is None:
        raise NotRun("the subject is not tern")
    return tern.parent / f"tools/rpc_interop/rpc_interop_{side}"


def stubs(run):
    """A folder with the service's Python code."""
    folder = run.folder / "stubs"
    folder.mkdir()
    status, text = run.run("protoc", [
        "protoc", f"-I{PROTO.parent}", f"--python_out={folder}", f"--grpc_out={folder}",
        "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin", PROTO], timeout=60)
    check(status == 0, f"protoc exited with {status}: {last_lines(text)}")
    return folder


def grpcio(run, role, *arguments):
    return [peer_path("grpcio"), DRIVERS / "grpcio_peer.py", role, stubs(run), *arguments]


def grpcjs(run, role, *arguments):
    return ["node", DRIVERS / "grpcjs_peer.mjs", role, peer_path("grpcjs"), PROTO, *arguments]


def grpcgo(run, role, *arguments):
    return [peer_path("grpcgo"), role, *arguments]


PEERS = {"grpcio": grpcio, "grpcjs": grpcjs, "grpcgo": grpcgo}


def serve_tern(run):
    port = free_port()
    process = run.start("rpc-interop-server", [
        program(run, "server"), f"--port={port}", "--use_tls=true",
        f"--cert={run.certs.cert}", f"--key={run.certs.key}"])
    wait_for_text(process, "listening")
    return port


def client_of_tern(run, peer, least):
    """All the cases that the driver has, against our server."""
    port = serve_tern(run)
    command = PEERS[peer](run, "client", f"localhost:{port}", run.certs.ca)
    status, text = run.run(peer, command, timeout=120)
    lines = [line for line in text.splitlines() if line.startswith("{")]
    check(status == 0 and lines, f"{peer} exited with {status}: {last_lines(text)}")
    verdicts = json.loads(lines[-1])
    check(len(verdicts) >= least, f"only {len(verdicts)} cases ran")
    wrong = {name: verdict for name, verdict in verdicts.items() if verdict}
    check(not wrong, f"{wrong}")


def run_tern(run, port, names):
    """Our client, whose every case has to pass."""
    status, text = run.run("rpc-interop-client", [
        program(run, "client"), "--server_host=localhost", f"--server_port={port}", "--use_tls=true",
        f"--ca={run.certs.ca}", "--transport=h2", f"--test_case={','.join(names)}"], timeout=120)
    passed = [line for line in text.splitlines() if line.endswith(": passed")]
    check(status == 0 and len(passed) == len(names), f"the client exited with {status}: {last_lines(text, 8)}")


def server_for_tern(run, peer, names):
    port = free_port()
    process = run.start(peer, PEERS[peer](run, "server", str(port), run.certs.cert, run.certs.key))
    wait_for_text(process, "listening", timeout=20.0)
    wait_for_tcp(process, port)
    run_tern(run, port, names)


case("grpcio/client", "grpcio", peer="grpcio", least=21)(client_of_tern)
case("grpcio/server", "grpcio", peer="grpcio", names=COMMON + COMPRESSED)(server_for_tern)
case("grpcjs/client", "grpcjs", peer="grpcjs", least=17)(client_of_tern)
case("grpcjs/server", "grpcjs", peer="grpcjs", names=COMMON)(server_for_tern)
case("grpcgo/client", "grpcgo", peer="grpcgo", least=18)(client_of_tern)
case("grpcgo/server", "grpcgo", peer="grpcgo", names=COMMON)(server_for_tern)


# What the server of each negative test has to have seen.
NEGATIVE = {"goaway": ("connection", 2), "ping": ("unanswered pings: 0", 1), "max_streams": ("connection", 1)}


@case("h2/grpc-negative", "httpx")
def negative(run):
    """gRPC's negative tests of HTTP/2, against a server on python3-h2 that misbehaves as they want it."""
    for name in ("goaway", "rst_after_header", "rst_during_data", "rst_after_data", "ping", "max_streams",
                 "data_frame_padding", "no_df_padding_sanity_test"):
        port = free_port()
        process = run.start(f"h2-{name}", [peer_path("httpx"), DRIVERS / "h2_negative.py", str(port), name])
        wait_for_text(process, "listening")
        status, text = run.run(f"client-{name}", [
            program(run, "client"), "--server_host=127.0.0.1", f"--server_port={port}", "--use_tls=false",
            "--transport=h2", f"--test_case={name}"], timeout=120)
        check(status == 0 and f"{name}: passed" in text, f"{name}: {last_lines(text)}")
        wait_for_text(process, "unanswered pings")
        said = process.text().splitlines()
        check(not [line for line in said if line.startswith("violation")], f"{name}: {said}")
        line, times = NEGATIVE.get(name, ("connection", 1))
        check(said.count(line) == times, f"{name}: {said}")
