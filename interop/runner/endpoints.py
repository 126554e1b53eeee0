"""The programs that play client and server, and what each can be asked for.

An endpoint gets a `runner.play.Play` and answers with the command that serves (`server`) or plays
the client to its end (`client`). What a program has no means for raises Unsupported with the
reason, which goes into the matrix: "unsupported by peer".
"""

import json
import pathlib

from harness.gtls import CHACHA20
from harness.process import INTEROP, check, peer_path
from harness.servers import in_chroot, nginx_configuration
from runner.path import SERVER_V4, SERVER_V6
from runner.protection import is_key_log

HQ, H3 = "hq-interop", "h3"
_NO_ADDRESS = "it offers no preferred address"
_NO_ECN = "it sets no ECN marks"
_NO_EARLY_DATA = "Debian builds it with OpenSSL, whose QUIC for others has no early data"


class Unsupported(Exception):
    """The program cannot do what the test case asks."""


class Endpoint:
    name = ""
    peer = None  # as interop/peers knows it; None: it is always there
    speaks = (H3,)
    probe_cid = b""  # of the readiness probe; the runner's has empty connection IDs

    def client(self, play):
        """Plays the client; the exit status of the last program."""
        raise Unsupported("no client")

    def server(self, play):
        """(command, environment)"""
        raise Unsupported("no server")

    def look_at_logs(self, role, folder):
        """Raises Failure when the program owes /logs something. Only tern owes anything."""

    def require(self, play, role, *, lacks):
        """`lacks`: {TESTCASE or case name: why not}."""
        for name in (getattr(play.case, role), play.case.name):
            if name in lacks:
                raise Unsupported(lacks[name])


# ---- tern, by its own container script --------------------------------------------------------


class Tern(Endpoint):
    """interop/run_endpoint.sh in a root file system of its own, as the runner starts it."""

    name = "tern"
    speaks = (HQ, H3)

    def client(self, play):
        arguments = f"--alpn {play.alpn}" if play.alpn == H3 else ""
        return play.run("client", *play.contained("client", CLIENT_PARAMS=arguments))

    def server(self, play):
        return play.contained("server")

    def look_at_logs(self, role, folder):
        check(is_key_log(folder / "keys.log"), f"tern as {role} has written no /logs/keys.log")
        check(any((folder / "qlog").glob("*.sqlog")), f"tern as {role} has written no qlog")


# ---- ngtcp2's examples ------------------------------------------------------------------------


class Gtls(Endpoint):
    """gtlsclient and gtlsserver: HTTP/3 alone, as Debian builds them."""

    name = "gtls"
    peer = "gtls"

    def client(self, play):
        flags = ["--no-quic-dump", "--no-http-dump", "--quiet", "--exit-on-all-streams-close",
                 f"--download={play.downloads}", "--timeout=30s",
                 "--max-data=128K", "--max-stream-data-bidi-local=64K", "--max-window=24M",
                 "--max-stream-window=16M"]
        case = play.case.client
        if case == "chacha20":
            flags.append(f"--ciphers={CHACHA20}")
        if case == "keyupdate":
            flags += ["--key-update=1ms", "--delay-stream=10ms"]
        if case in ("zerortt", "ecn"):
            flags.append("--no-pmtud")
        if case == "v2":
            flags += ["--available-versions=v2,v1", "--preferred-versions=v2,v1"]
        keep = [f"--session-file={play.folder}/session", f"--tp-file={play.folder}/parameters"]
        if case == "resumption":
            self._fetch(play, [*flags, *keep, "--wait-for-ticket"], play.urls[:1])
            return self._fetch(play, [*flags, *keep, "--disable-early-data"], play.urls[1:])
        if case == "zerortt":
            self._fetch(play, [*flags, *keep, "--wait-for-ticket"], play.urls[:1])
            return self._fetch(play, [*flags, *keep], play.urls[1:])
        if case == "multiconnect":
            flags += ["--handshake-timeout=180s", "--timeout=180s"]
            return self._fetch(play, flags, *([url] for url in play.urls))
        return self._fetch(play, flags, play.urls)

    @staticmethod
    def _fetch(play, flags, *groups):
        environment = {"SSLKEYLOGFILE": str(play.logs["client"] / "keys.log")}
        return play.run_each("client", [[peer_path("gtlsclient"), *flags, play.case.host, "443",
                                         *urls] for urls in groups], environment)

    def server(self, play):
        flags = ["--quiet", "--no-quic-dump", "--no-http-dump", f"--htdocs={play.www}",
                 "--initial-rtt=100ms"]
        case = play.case.server
        if case == "retry":
            flags.append("--validate-addr")
        if case == "chacha20":
            flags.append(f"--ciphers={CHACHA20}")
        if case in ("zerortt", "ecn"):
            flags.append("--no-pmtud")
        if case == "v2":
            flags.append("--preferred-versions=v2,v1")
        if case == "multiconnect":
            flags += ["--handshake-timeout=180s", "--timeout=180s"]
        if case == "connectionmigration":
            flags += [f"--preferred-ipv4-addr={SERVER_V4}:4433",
                      f"--preferred-ipv6-addr=[{SERVER_V6}]:4433"]
        environment = {"SSLKEYLOGFILE": str(play.logs["server"] / "keys.log")}
        return [peer_path("gtlsserver"), *flags, "*", "443", play.certs / "priv.key",
                play.certs / "cert.pem"], environment


# ---- aioquic's examples -----------------------------------------------------------------------


class Aioquic(Endpoint):
    name = "aioquic"
    peer = "aioquic"
    speaks = (HQ, H3)
    examples = "/usr/share/doc/python-aioquic-doc/examples"

    def client(self, play):
        self.require(play, "client", lacks={
            "ecn": _NO_ECN, "connectionmigration": "it takes no preferred address"})
        flags = ["--ca-certs", play.certs / "ca.pem", "--output-dir", play.downloads,
                 "--secrets-log", play.logs["client"] / "keys.log"]
        if play.alpn == HQ:
            flags.append("--legacy-http")
        case = play.case.client
        if case == "v2":
            flags.append("--negotiate-v2")
        ticket = ["--session-ticket", play.folder / "ticket"]
        if case in ("resumption", "zerortt"):
            self._fetch(play, [*flags, *ticket], play.urls[:1])
            early = ["--zero-rtt"] if case == "zerortt" else []
            return self._fetch(play, [*flags, *ticket, *early], play.urls[1:])
        if case == "multiconnect":
            return self._fetch(play, flags, *([url] for url in play.urls))
        return self._fetch(play, flags, play.urls)

    def _fetch(self, play, flags, *groups):
        binds, program = self._program(play.case.client, "http3_client.py")
        binds.append((play.hosts, "/etc/hosts"))
        return play.run_each("client", [in_chroot(binds, [*program, *flags, *urls])
                                        for urls in groups], {})

    def server(self, play):
        self.require(play, "server", lacks={"ecn": _NO_ECN, "connectionmigration": _NO_ADDRESS})
        flags = ["--retry"] if play.case.server == "retry" else []
        binds, program = self._program(play.case.server, "http3_server.py")
        return in_chroot(binds, [
            "env", f"WWW={play.www}", "PYTHONPATH=/srv/drivers", *program, "--host", "::",
            "--port", "443", "--certificate", play.certs / "cert.pem",
            "--private-key", play.certs / "priv.key",
            "--secrets-log", play.logs["server"] / "keys.log", *flags, "aioquic_files:app"]), {}

    def _program(self, case, example):
        """(what is mounted, the beginning of its command line)"""
        peer_path(self.name)
        wishes = {"chacha20": ["CHACHA20_ONLY=1"], "keyupdate": ["KEY_UPDATE=1"]}.get(case, [])
        return [(INTEROP / "drivers", "/srv/drivers")], [
            "env", "PYTHONDONTWRITEBYTECODE=1", *wishes, "python3",
            "/srv/drivers/aioquic_program.py", f"{self.examples}/{example}"]


# ---- servers and clients of HTTP/3 alone ------------------------------------------------------


class Nginx(Endpoint):
    name = "nginx"
    peer = "nginx"

    def server(self, play):
        self.require(play, "server", lacks={
            "connectionmigration": _NO_ADDRESS, "ecn": _NO_ECN, "v2": "it knows no QUIC version 2",
            "zerortt": _NO_EARLY_DATA})
        suites = ""
        if play.case.server == "chacha20":
            suites = "ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;"
        retry = "quic_retry on;" if play.case.server == "retry" else ""
        config = play.folder / "nginx.conf"
        config.write_text("user root;\n" + nginx_configuration(
            play.folder, f"""listen 443 quic reuseport;
    listen [::]:443 quic reuseport ipv6only=on;
    {retry}
    {suites}
    http3_max_concurrent_streams 128;
    quic_active_connection_id_limit 8;
    ssl_certificate {play.certs}/cert.pem;
    ssl_certificate_key {play.certs}/priv.key;
    ssl_protocols TLSv1.3;
    ssl_early_data on;""", f"location / {{ root {play.www}; }}", None))
        peer_path("nginx")
        return in_chroot([], ["nginx", "-c", config, "-e", play.folder / "nginx.log"]), {}


class Haproxy(Endpoint):
    name = "haproxy"
    peer = "haproxy"

    def server(self, play):
        self.require(play, "server", lacks={
            "connectionmigration": _NO_ADDRESS, "ecn": _NO_ECN, "zerortt": _NO_EARLY_DATA})
        peer_path("haproxy")
        combined = play.folder / "haproxy.pem"
        combined.write_bytes((play.certs / "cert.pem").read_bytes()
                             + (play.certs / "priv.key").read_bytes())
        suites = ""
        if play.case.server == "chacha20":
            suites = "  ssl-default-bind-ciphersuites TLS_CHACHA20_POLY1305_SHA256\n"
        retry = " quic-force-retry" if play.case.server == "retry" else ""
        nginx = play.folder / "origin.conf"
        nginx.write_text("user root;\n" + nginx_configuration(
            play.folder, f"listen unix:{play.folder}/origin.sock;",
            f"location / {{ root {play.www}; }}", None))
        config = play.folder / "haproxy.cfg"
        config.write_text(f"""global
  nbthread 1
  limited-quic
{suites}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout client-hs 180s

frontend http3
  bind quic4@:443 ssl crt {combined} alpn h3{retry}
  bind quic6@:443 ssl crt {combined} alpn h3{retry}
  default_backend files

backend files
  server origin unix@{play.folder}/origin.sock
""")
        script = (f"nginx -c {nginx} -e {play.folder}/nginx.log & "
                  f"exec haproxy -db -f {config}")
        return in_chroot([], ["sh", "-c", script]), {}


class Caddy(Endpoint):
    name = "caddy"
    peer = "caddy"

    def server(self, play):
        self.require(play, "server", lacks={
            "connectionmigration": _NO_ADDRESS, "ecn": _NO_ECN,
            "retry": "it cannot be told to send Retry",
            "v2": "its quic-go knows a draft of version 2 alone"})
        config = play.folder / "Caddyfile"
        config.write_text(f"""{{
	admin off
	auto_https off
	log {{
		level ERROR
	}}
}}
https://:443 {{
	tls {play.certs}/cert.pem {play.certs}/priv.key
	root * {play.www}
	file_server
}}
""")
        return [peer_path("caddy"), "run", "--config", config, "--adapter", "caddyfile"], {
            "XDG_DATA_HOME": str(play.folder), "XDG_CONFIG_HOME": str(play.folder)}


class Bun(Endpoint):
    name = "bun"
    peer = "bun"
    probe_cid = bytes(8)  # it leaves those with empty ones unanswered; the runner would never see it

    def server(self, play):
        self.require(play, "server", lacks={
            "connectionmigration": _NO_ADDRESS, "retry": "it cannot be told to send Retry",
            "ecn": _NO_ECN, "zerortt": "its tickets allow no early data"})
        options = {"port": 443, "cert": str(play.certs / "cert.pem"),
                   "key": str(play.certs / "priv.key"), "root": str(play.www), "host": "::"}
        return [peer_path("bun"), INTEROP / "drivers/bun_server.mjs", json.dumps(options)], {}

    def client(self, play):
        case = play.case.client
        if case in ("resumption", "zerortt"):
            raise Unsupported("its fetch() keeps no session beyond its process, nor ends one in it")
        self.require(play, "client", lacks={
            "chacha20": "it cannot be told its TLS 1.3 cipher suites",
            "keyupdate": "it cannot be told to update keys", "ecn": _NO_ECN,
            "v2": "it cannot be told to prefer version 2",
            "connectionmigration": "it cannot be told to move to a preferred address"})
        groups = [[url] for url in play.urls] if case == "multiconnect" else [play.urls]
        environment = {"NODE_EXTRA_CA_CERTS": str(play.certs / "ca.pem")}
        return play.run_each("client", [[peer_path("bun"), INTEROP / "drivers/bun_files.mjs",
                                         play.downloads, *group] for group in groups], environment)


class Chromium(Endpoint):
    """A page's fetch(), of all URLs at once."""

    name = "chromium"
    peer = "chromium"

    def client(self, play):
        self.require(play, "client", lacks={
            "chacha20": "it cannot be told the cipher suites of QUIC",
            "keyupdate": "it cannot be told to update keys",
            "ecn": _NO_ECN,
            "v2": "it does not move to version 2 when it began with version 1"})
        groups, between = [play.urls], "reconnect"
        if play.case.client in ("resumption", "zerortt"):
            groups = [play.urls[:1], play.urls[1:]]
        if play.case.client == "multiconnect":
            groups, between = [[url] for url in play.urls], "forget"
        flags = []
        if play.case.client == "multiconnect" or play.case.name == "amplificationlimit":
            # Where every third packet is lost a handshake takes longer than the four seconds that it allows.
            patience = "/".join(f"{name}_before_crypto_handshake_seconds/180"
                                for name in ("max_time", "max_idle_time"))
            flags = ["--force-fieldtrials=QUIC/Enabled",
                     f"--force-fieldtrial-params=QUIC.Enabled:{patience}"]
        options = {"groups": groups, "between": between, "downloads": str(play.downloads), "flags": flags,
                   "module": peer_path("playwright-core"), "browser": peer_path("chromium"),
                   "spki": play.spki(), "keys": str(play.logs["client"] / "keys.log")}
        return play.run("client", ["node", INTEROP / "drivers/chromium_files.mjs",
                                   json.dumps(options)], {})


class Curl(Endpoint):
    """curl of Debian 13: ngtcp2 with OpenSSL."""

    name = "curl"
    peer = "curl"

    def client(self, play):
        case = play.case.client
        if case in ("zerortt", "resumption", "keyupdate", "v2", "ecn"):
            raise Unsupported("the curl program has no flag for it")
        self.require(play, "client", lacks={
            "connectionmigration": "its QUIC takes no preferred address"})
        peer_path("curl")
        flags = ["curl", "-sS", "--http3-only", "--cacert", play.certs / "ca.pem", "--parallel"]
        if case == "chacha20":
            flags += ["--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"]
        environment = {"SSLKEYLOGFILE": str(play.logs["client"] / "keys.log")}
        if case == "multiconnect":
            flags += ["--connect-timeout", "180"]
            groups = [[url] for url in play.urls]
        else:
            groups = [play.urls]
        commands = []
        for number, group in enumerate(groups):
            config = play.folder / f"curl-{number}"
            config.write_text("".join(
                f'url = "{url}"\noutput = "{play.downloads}/{pathlib.PurePath(url).name}"\n'
                for url in group))
            commands.append(in_chroot([(play.hosts, "/etc/hosts")], [*flags, "--config", config]))
        return play.run_each("client", commands, environment)


ENDPOINTS = {each.name: each for each in (Tern(), Gtls(), Aioquic(), Nginx(), Haproxy(), Caddy(),
                                          Bun(), Curl(), Chromium())}
# Client and server.
PAIRS = [("tern", "tern"), ("tern", "gtls"), ("gtls", "tern"), ("tern", "aioquic"),
         ("aioquic", "tern"), ("tern", "nginx"), ("tern", "haproxy"), ("tern", "caddy"),
         ("tern", "bun"), ("bun", "tern"), ("curl", "tern"), ("chromium", "tern")]


def control_of(pair):
    """The pair with gtls in tern's place: what fails there, too, is not tern's fault. None when
    there is no such pair without tern, or it is the same."""
    control = tuple("gtls" if name == "tern" else name for name in pair)
    return None if pair == ("tern", "tern") or control == pair else control
