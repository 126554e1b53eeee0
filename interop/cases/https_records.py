"""`tern get` asks Knot DNS for HTTPS records (RFC 9460), in a network namespace where that is the only
name server."""

from harness.matrix import case
from harness.namespace import Namespace
from harness.process import NotRun, check, peer_path
from harness.tern import last_lines, wait_for_text

ORIGIN_PORT = 4443  # of nobody else: the namespace has nothing but this case
OTHER_PORT = 8443  # nobody listens there

ZONE = f"""$ORIGIN tern.test.
$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
ns A 127.0.0.1
www A 127.0.0.1
www HTTPS 1 . alpn=h3,h2 port={ORIGIN_PORT}
alias HTTPS 0 www
chain CNAME alias
hinted HTTPS 1 unknown.elsewhere.test. alpn=h3 port={ORIGIN_PORT} ipv4hint=127.0.0.1
later HTTPS 1 . mandatory=key65000 key65000=x port=1
later HTTPS 2 . alpn=h3 port={ORIGIN_PORT}
later A 127.0.0.1
plain A 127.0.0.1
_{OTHER_PORT}._https.plain HTTPS 1 www alpn=h3 port={ORIGIN_PORT}
"""

CONFIGURATION = """server:
  rundir: "{work}"
  listen: 127.0.0.1@53
database:
  storage: "{work}"
log:
  - target: stderr
    any: info
zone:
  - domain: tern.test
    storage: "{work}"
    file: tern.test.zone
"""


class Island:
    """tern serve and knotd in a namespace, and `tern get` with it as its name server."""

    def __init__(self, run, namespace):
        if not hasattr(run.subject, "path"):
            raise NotRun("nothing stands in for HTTPS records")
        self.run, self.namespace = run, namespace
        work = run.folder / "knot"
        work.mkdir()
        (work / "tern.test.zone").write_text(ZONE)
        (work / "knot.conf").write_text(CONFIGURATION.format(work=work))
        self.resolver = work / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
        knot = run.start("knotd", namespace.command(
            [peer_path("knot"), "-c", work / "knot.conf"]))
        wait_for_text(knot, "server started", timeout=15.0)
        server = run.start("tern-serve", namespace.command(
            [run.subject.path, "serve", "--listen", f"0.0.0.0:{ORIGIN_PORT}", "--cert",
             run.certs.cert, "--key", run.certs.key]))
        wait_for_text(server, "listens on", timeout=15.0)

    def get(self, *words):
        """The body and all that was said; the certificate is for localhost, hence -k."""
        [output] = self.run.outputs(1)
        status, text = self.run.run("tern-get", self.namespace.command(
            ["sh", "-c", 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"', "sh",
             self.resolver, self.run.subject.path, "get", "-v", "-k", "-o", output, *words]),
            timeout=30)
        check(status == 0, f"tern get exited with {status}: {last_lines(text)}")
        return output.read_text(), text


@case("knot/port-and-alpn", "knot", url="https://www.tern.test/hello")
@case("knot/alias", "knot", url="https://alias.tern.test/hello")
@case("knot/cname-to-alias", "knot", url="https://chain.tern.test/hello")
@case("knot/hints", "knot", url="https://hinted.tern.test/hello")
@case("knot/mandatory-unknown", "knot", url="https://later.tern.test/hello")
@case("knot/other-port", "knot", url=f"https://plain.tern.test:{OTHER_PORT}/hello")
def http3_by_record(run, url):
    """The URL's port has nobody: only the record leads there. Not by the ladder, where TCP wins on a machine that is busy."""
    with Namespace() as namespace:
        body, text = Island(run, namespace).get("--http3-only", url)
        check(body == "hello over h3\n", body)
        check("by its HTTPS record" in text, last_lines(text))


@case("knot/http2", "knot")
def http2_by_record(run):
    with Namespace() as namespace:
        body, _ = Island(run, namespace).get("--http2", "https://www.tern.test/hello")
        check(body == "hello over h2\n", body)


@case("knot/without-records", "knot")
def without_records(run):
    with Namespace() as namespace:
        island = Island(run, namespace)
        body, text = island.get("--http3-only", f"https://ns.tern.test:{ORIGIN_PORT}/hello")
        check(body == "hello over h3\n" and "by its HTTPS record" not in text, last_lines(text))
