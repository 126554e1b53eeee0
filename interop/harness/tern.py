"""tern as the subject of the tests: the only place that knows its command line and its output.

`serve` starts `tern serve` and returns once it answers; `get` runs `tern get` to its end. A
stand-in with the same two methods is in control.py.
"""

import dataclasses
import json
import pathlib
import re
import signal
import time

from harness.process import Failure, check, free_port, wait_for_quic

EXIT_HTTP_ERROR = 22  # `--fail` and a status of 400 or more, as in curl


@dataclasses.dataclass
class Serving:
    port: int
    process: object
    clear: int | None = None  # the port without TLS

    def url(self, path="/"):
        return f"https://localhost:{self.port}{path}"


@dataclasses.dataclass
class Fetch:
    """What one run of the client is asked for. Each URL's body goes to a file of its own."""
    urls: list
    protocol: str = "--http3-only"
    head: bool = False  # HEAD: the result is the status line and the fields
    data: pathlib.Path | None = None  # request body
    content_type: str | None = None
    fail: bool = False  # exit non-zero for a status of 400 or more
    session: pathlib.Path | None = None  # keeps and resumes a session
    early_data: bool = False
    version: int | None = None  # QUIC version of the first flight: 1 or 2
    migrate_at: list = dataclasses.field(default_factory=list)  # sizes or times
    key_update: bool = False
    parallel: bool = False  # all URLs at once
    chacha20: bool = False
    engine: str | None = None
    flags: list = dataclasses.field(default_factory=list)  # whatever else, as tern and curl have it
    timeout: float = 30.0


@dataclasses.dataclass
class Fetched:
    status: int
    text: str  # both output streams
    files: list  # bytes of each URL's body, None where no file was written

    # How `-v` tells a connection over TLS, and its ALPN.
    connected = r"^\* connected: .*, (h3|h2|http/1\.1), "

    def spoken(self):
        """The ALPN of each of its connections."""
        return re.findall(self.connected, self.text, re.MULTILINE)

    def expect_success(self):
        check(self.status == 0, f"client exited with {self.status}: {last_lines(self.text)}")
        check(None not in self.files, f"{self.files.count(None)} bodies were not written")
        return self


def wait_for_text(process, pattern, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not re.search(pattern, process.text()):
        check(time.monotonic() < deadline, f"{process.name} does not say {pattern}")
        time.sleep(0.02)


def last_lines(text, count=4):
    return " | ".join(text.strip().splitlines()[-count:])


class Tern:
    name = "tern"

    def __init__(self, path, certs):
        self.path = pathlib.Path(path).resolve()
        self.certs = certs

    def serve(self, case, root=None, retry=False, engine=None, workers=None, v2=False,
              chacha20=False, preferred_port=None, log=False, namespace=None, clear=False,
              port=None, certs=None, flags=()):
        """`tern serve`: the built-in demo site, or the files of `root`.

        v2: moves clients that know v2 to it. preferred_port: announced as preferred address.
        log: the access log is in the process's output, as JSON lines. namespace: where it runs.
        clear: HTTP/2 and HTTP/1.1 without TLS, too. port: instead of one that is free.
        certs: instead of those of the run.
        """
        port, certs = port or free_port(), certs or self.certs
        command = [self.path, "serve", *([root] if root else []), "--listen", f"[::]:{port}",
                   "--cert", certs.cert, "--key", certs.key]
        if retry:
            command.append("--retry")
        if engine:
            command += ["--engine", engine]
        if workers:
            command += ["--workers", str(workers)]
        if v2:
            command += ["--quic-version", "2,1"]
        if chacha20:
            command.append("--chacha20")
        if preferred_port:
            command += ["--preferred-address", f"127.0.0.1:{preferred_port}"]
        if log:
            command += ["--log", "json"]
        clear_port = free_port() if clear else None
        if clear:
            command += ["--http", f"127.0.0.1:{clear_port}"]
        command += flags
        if namespace:
            process = case.start("tern-serve", namespace.command(command), on_stop=self.drained)
            wait_for_text(process, rf"https://localhost:{port}/")
            return Serving(port, process, clear_port)
        process = case.start("tern-serve", command, on_stop=self.drained)
        wait_for_quic(process, port)
        if engine:  # it answers a moment before it says so
            wait_for_text(process, rf"\b{engine}\b")
        return Serving(port, process, clear_port)

    @staticmethod
    def drained(process):
        """The server must outlive its clients, and drain on Ctrl-C."""
        status = process.status
        if status is not None:
            process.stop()
            raise Failure(f"tern serve ended by itself with {status}: {process.tail()}")
        status = process.stop(signal.SIGINT, timeout=10.0)
        check(status is not None, "tern serve did not end within 10 s of Ctrl-C")
        check(status == 0, f"tern serve exited with {status} on Ctrl-C: {process.tail()}")

    def get(self, case, fetch, port, meanwhile=None):
        """meanwhile: called while it runs."""
        outputs = case.outputs(len(fetch.urls))
        command = [self.path, "get", "-v", fetch.protocol, "--cacert", self.certs.ca]
        if fetch.head:
            command.append("--head")
        if fetch.data:
            command += ["--data-binary", f"@{fetch.data}"]
        if fetch.content_type:
            command += ["-H", f"content-type: {fetch.content_type}"]
        if fetch.fail:
            command.append("--fail")
        if fetch.session:
            command += ["--session", fetch.session]
        if fetch.early_data:
            command.append("--early-data")
        if fetch.version:
            command += ["--quic-version", str(fetch.version)]
        for when in fetch.migrate_at:
            command += ["--migrate-at", when]
        if fetch.key_update:
            command.append("--key-update")
        if fetch.parallel:
            command.append("--parallel")
        if fetch.chacha20:
            command.append("--chacha20")
        if fetch.engine:
            command += ["--engine", fetch.engine]
        command += fetch.flags
        for url, output in zip(fetch.urls, outputs):
            command += [url] if fetch.head else ["-o", output, url]
        status, text = case.run("tern-get", command, timeout=fetch.timeout, meanwhile=meanwhile)
        if fetch.head:  # on stdout; what -v tells about it on stderr is prefixed
            heads = re.findall(r"^HTTP/[0-9.]+ .*?^$", text, re.MULTILINE | re.DOTALL)
            return Fetched(status, text, [head.encode() for head in heads])
        return Fetched(status, text, [read(output) for output in outputs])


    def websocket(self, case, url, *flags, messages=(), timeout=30.0):
        """What `tern ws --json` says about a session that sends `messages`, and its exit status."""
        output = case.folder / f"ws-{len(case.processes)}.json"
        sent = [part for message in messages for part in ("--message", message)]
        command = ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", output, self.path,
                   "ws", "--json", "--cacert", self.certs.ca, *flags, *sent, url]
        status, text = case.run("tern-ws", command, timeout=timeout)
        report = read(output)
        check(report, f"`tern ws` exited with {status} and no report: {last_lines(text)}")
        return json.loads(report), status

    def websocket_pipe(self, case, url, data, *flags, timeout=30.0):
        """What `tern ws` writes when `data` is its input, which ends when as much has come back."""
        given, got = case.outputs(2)
        given.write_bytes(data)
        script = """in=$1 out=$2 size=$3; shift 3; : > "$out"
            { cat "$in"; for i in $(seq 400); do
                [ "$(stat -c %s "$out")" -lt "$size" ] || break; sleep 0.05
              done; } | "$@" > "$out" """
        status, text = case.run("tern-ws", ["sh", "-c", script, "sh", given, got, len(data), self.path,
                                            "ws", "--cacert", self.certs.ca, *flags, url],
                                timeout=timeout)
        check(status == 0, f"`tern ws` exited with {status}: {last_lines(text)}")
        return got.read_bytes()

    def webtransport(self, case, url, *flags, messages=(), timeout=30.0):
        """What `tern wt --json` says about a session that sends `messages`, and its exit status."""
        output = case.folder / f"wt-{len(case.processes)}.json"
        sent = [part for message in messages for part in ("--message", message)]
        command = ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", output, self.path,
                   "wt", "--json", "--cacert", self.certs.ca, *flags, *sent, url]
        status, text = case.run("tern-wt", command, timeout=timeout)
        report = read(output)
        check(report, f"`tern wt` exited with {status} and no report: {last_lines(text)}")
        return json.loads(report), status

    def probe(self, case, url, *flags, timeout=120.0):
        """The report of `tern interop` about one endpoint, and the exit status."""
        output = case.folder / "probe.json"
        command = ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", output, self.path,
                   "interop", "--json", "--cacert", self.certs.ca, *flags, url]
        status, text = case.run("tern-interop", command, timeout=timeout)
        report = read(output)
        check(report, f"`tern interop` exited with {status} and no report: {last_lines(text)}")
        [endpoint] = json.loads(report)["endpoints"]
        return endpoint, status


def read(path):
    return path.read_bytes() if path.exists() else None
