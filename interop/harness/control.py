"""Stand-ins for tern, `interop/run --control`: caddy or gtlsserver serve, curl or gtlsclient fetch.

A case that fails with tern and passes here is about tern; one that fails in both is about the peer,
the driver or the machine.
"""

from harness import servers
from harness.gtls import CHACHA20
from harness.process import NotRun, free_port, peer_path, wait_for_quic
from harness.tern import Fetched, Serving, read


class FetchedByCurl(Fetched):
    connected = r"^\* ALPN: server accepted (\S+)"


class Control:
    name = "control"

    def __init__(self, certs, demo):
        self.certs = certs
        self.demo = demo  # tern's demo site as files, with /bytes/N and, for gtlsserver, /echo

    def serve(self, case, root=None, retry=False, engine=None, workers=None, v2=False,
              chacha20=False, preferred_port=None, log=False, namespace=None, port=None,
              certs=None, flags=()):
        if log:
            raise NotRun("the stand-in has no WebSockets")
        if namespace or flags or certs:
            raise NotRun("the stand-in has no such flags")
        if engine or workers:
            raise NotRun("the stand-in has no engines and workers")
        port = port or free_port()
        if case.peer == "gtls":  # what HTTP servers cannot show: QUIC's own features
            flags = ["--preferred-versions=v2,v1"]  # v1 for clients that know no v2
            if retry:
                flags.append("--validate-addr")
            if chacha20:
                flags.append(f"--ciphers={CHACHA20}")
            if preferred_port:
                flags.append(f"--preferred-ipv4-addr=127.0.0.1:{preferred_port}")
            launch = servers.gtlsserver(case.folder, port, root or self.demo, self.certs,
                                        flags=flags)
        else:
            launch = servers.caddy(case.folder, port, root or self.demo, self.certs)
        process = case.start("stand-in", launch.command, env=launch.env)
        wait_for_quic(process, port)
        return Serving(port, process)

    def websocket(self, case, url, *flags, messages=(), timeout=30.0):
        raise NotRun("nothing stands in for `tern ws`")

    def webtransport(self, case, url, *flags, messages=(), timeout=30.0):
        raise NotRun("nothing stands in for `tern wt`")

    def probe(self, case, url, *flags):
        raise NotRun("nothing stands in for the prober")

    def get(self, case, fetch, port, meanwhile=None):
        if fetch.protocol not in ("--http3-only", "--http3"):
            return self._curl(case, fetch, meanwhile)
        if fetch.engine:
            raise NotRun("the stand-in has no engines")
        if case.peer == "gtls":
            return self._gtlsclient(case, fetch, port)
        return self._curl(case, fetch)

    def _curl(self, case, fetch, meanwhile=None):
        peer_path("curl")
        outputs = case.outputs(len(fetch.urls))
        heads = case.folder / f"heads-{len(case.processes)}"
        command = ["curl", "-sS", "-v", fetch.protocol, "--cacert", self.certs.ca, "-D", heads,
                   *fetch.flags]
        if fetch.head:
            command.append("--head")
        if fetch.data:
            command += ["--data-binary", f"@{fetch.data}"]
        if fetch.parallel:
            command += ["--parallel", "--parallel-max", "6" if fetch.protocol == "--http1.1" else "50"]
        if fetch.content_type:
            command += ["-H", f"content-type: {fetch.content_type}"]
        if fetch.fail:
            command.append("--fail")
        for url, output in zip(fetch.urls, outputs):
            command += ["-o", output, url]
        status, text = case.run("curl", servers.in_chroot([], command), timeout=fetch.timeout,
                                meanwhile=meanwhile)
        if heads.exists():  # -v shows no trailers of HTTP/1.1
            text += "".join(f"\n< {line}" for line in heads.read_text(errors="replace").splitlines())
        return FetchedByCurl(status, text, [read(output) for output in outputs])

    def _gtlsclient(self, case, fetch, port):
        downloads = case.folder / f"downloads-{len(case.processes)}"
        downloads.mkdir()
        command = [peer_path("gtlsclient"), "--no-quic-dump", "--no-http-dump",
                   "--exit-on-all-streams-close", f"--download={downloads}",
                   "--available-versions=v2,v1", "--preferred-versions=v2,v1"]
        if fetch.session:
            command += [f"--session-file={fetch.session}", f"--tp-file={fetch.session}.tp",
                        "--wait-for-ticket"]
            if not fetch.early_data:
                command.append("--disable-early-data")
        if fetch.version == 2:
            command += ["--version=v2"]
        if fetch.chacha20:
            command.append(f"--ciphers={CHACHA20}")
        if fetch.key_update:
            command += ["--key-update=1ms", "--delay-stream=10ms"]
        if fetch.migrate_at:
            command += ["--change-local-addr=1ms"]
        command += ["localhost", str(port), *fetch.urls]
        status, text = case.run("gtlsclient", command, timeout=fetch.timeout)
        return Fetched(status, text,
                       [read(downloads / url.rpartition("/")[2]) for url in fetch.urls])
