"""How each peer runs as an HTTP/3 server: its command line and configuration.

Every function writes what the server needs below `work` and returns a Launch. All of them serve the
files of `root` over HTTP/3 with one worker thread or process, in the foreground and without an
access log (but see `log`), so that interop/serve-peer can be measured and interop/run can test the
same set-up.
"""

import dataclasses
import json
import pathlib

from harness.process import INTEROP, NotRun, peer_path


@dataclasses.dataclass
class Launch:
    command: list
    env: dict = dataclasses.field(default_factory=dict)
    backend: "Launch | None" = None  # started first; haproxy serves no files itself
    ready_file: pathlib.Path | None = None  # of a backend: a Unix socket that appears


def in_chroot(binds, command):
    flags = [part for host, guest in binds for part in ("--bind", f"{host}={guest}")]
    return [INTEROP / "peers", "chroot", *flags, "--", *command]


def caddy(work, port, root, certs, origin=None, log=None, clear=None):
    """caddy (quic-go). Serves files; POST /echo answers with the body and its type.

    `clear`, here and below: a TCP port for HTTP/1.1 without TLS beside the others.
    """
    config = work / "Caddyfile"
    without_tls = (f"http://:{clear} {{\n\troot * {root}\n\tfile_server\n}}\n" if clear else "")
    config.write_text(f"""{{
	admin off
	auto_https off
	log {{
		level ERROR
	}}
}}
https://:{port} {{
	tls {certs.cert} {certs.key}
	root * {root}
	redir /old /small.txt 302
	@posted path /echo /upload
	handle @posted {{
		header Content-Type {{http.request.header.Content-Type}}
		respond "{{http.request.body}}"
	}}
	file_server
}}
{without_tls}""")
    return Launch([peer_path("caddy"), "run", "--config", config, "--adapter", "caddyfile"],
                  env={"GOMAXPROCS": "1", "XDG_DATA_HOME": str(work), "XDG_CONFIG_HOME": str(work)})


def gtlsserver(work, port, root, certs, origin=None, log=None, flags=()):
    """gtlsserver (ngtcp2). Serves files; /N answers with N bytes. Quiet unless `log`."""
    quiet = [] if log else ["--quiet"]
    return Launch([peer_path("gtlsserver"), *quiet, "--no-quic-dump", "--no-http-dump",
                   f"--htdocs={root}", *flags, "*", str(port), certs.key, certs.cert])


def nginx_configuration(work, listen, locations, log):
    access = f"access_log {log} interop;" if log else "access_log off;"
    return f"""worker_processes 1;
daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.log error;
events {{ worker_connections 16384; }}
worker_rlimit_nofile 40000;
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  log_format interop '$remote_port $server_protocol $request_method $uri $status';
  {access}
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=1000 inactive=60s;
  client_body_temp_path {work}/nginx-body;
  proxy_temp_path {work}/nginx-proxy;
  fastcgi_temp_path {work}/nginx-fastcgi;
  uwsgi_temp_path {work}/nginx-uwsgi;
  scgi_temp_path {work}/nginx-scgi;
  server {{
    {listen}
    {locations}
  }}
}}
"""


def nginx(work, port, root, certs, origin=None, log=None, clear=None):
    """nginx with HTTP/3 and, over TCP, HTTP/2 and HTTP/1.1, in the chroot.

    POST /echo (1 MB at most), POST /upload and /old need `origin`, an HTTP/1.1 host:port.
    """
    config = work / "nginx.conf"
    echo = (f"location ~ ^/(echo|old)$ {{ proxy_pass http://{origin}; }}\n"
            f"    location = /upload {{ client_max_body_size 100m; proxy_pass http://{origin}; }}"
            if origin else "")
    without_tls = f"listen 127.0.0.1:{clear};" if clear else ""
    config.write_text("user root;\n" + nginx_configuration(
        work,
        f"""listen 127.0.0.1:{port} quic reuseport;
    listen [::1]:{port} quic reuseport;
    listen 127.0.0.1:{port} ssl;
    listen [::1]:{port} ssl;
    {without_tls}
    http2 on;
    quic_gso on;
    http3_max_concurrent_streams 128;
    ssl_certificate {certs.cert};
    ssl_certificate_key {certs.key};
    ssl_protocols TLSv1.3;
    ssl_early_data on;""",
        f"location / {{ root /srv/root; }}\n    {echo}", log))
    peer_path("nginx")
    command = ["nginx", "-c", config, "-e", work / "nginx.log"]
    return Launch(in_chroot([(root, "/srv/root")], command))


def haproxy(work, port, root, certs, origin=None, log=None, clear=None):
    """haproxy with HTTP/3 and, over TCP, HTTP/2 and HTTP/1.1, in the chroot.

    haproxy has no files of its own. With `origin` it passes every request there. Without, files of
    at most 8 kB in `root` are answered from memory (`http-request return`), and all others come
    from an nginx in the chroot behind a Unix socket and stay in haproxy's cache, which has room for
    a file of 1 GiB: a warmed-up download is haproxy's work alone.
    """
    peer_path("haproxy")
    combined = work / "haproxy.pem"
    combined.write_bytes(certs.cert.read_bytes() + certs.key.read_bytes())
    backend, answers, cache = None, "", ""
    if origin:
        target = origin
    else:
        peer_path("nginx")
        socket = work / "backend.sock"
        nginx_conf = work / "backend.conf"
        nginx_conf.write_text("user root;\n" + nginx_configuration(
            work, f"listen unix:{socket};", "location / { root /srv/root; }", None))
        backend = Launch(in_chroot([(root, "/srv/root")],
                                   ["nginx", "-c", nginx_conf, "-e", work / "nginx.log"]),
                         ready_file=socket)
        target = f"unix@{socket}"
        for file in sorted(pathlib.Path(root).iterdir()):
            if file.is_file() and file.stat().st_size <= 8192 and " " not in file.name:
                answers += (f"  http-request return status 200 content-type text/plain "
                            f"file /srv/root/{file.name} if {{ path /{file.name} }}\n")
        cache = ("cache files\n  total-max-size 2300\n  max-object-size 1100000000\n"
                 "  max-age 3600\n\n")
    use_cache = ("  http-request cache-use files\n  http-response cache-store files\n"
                 if cache else "")
    without_tls = f"  bind 127.0.0.1:{clear}\n" if clear else ""
    config = work / "haproxy.cfg"
    config.write_text(f"""global
  nbthread 1
  limited-quic
  ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s

{cache}frontend http
  bind quic4@127.0.0.1:{port} ssl crt {combined} alpn h3
  bind quic6@[::1]:{port} ssl crt {combined} alpn h3
  bind 127.0.0.1:{port} ssl crt {combined} alpn h2,http/1.1
  bind [::1]:{port} ssl crt {combined} alpn h2,http/1.1
{without_tls}{answers}  default_backend files

backend files
{use_cache}  server origin {target}
""")
    return Launch(in_chroot([(root, "/srv/root")], ["haproxy", "-db", "-f", config]),
                  backend=backend)


def apache2_configuration(work, port, certs, modules, rest):
    """Apache httpd with one process and HTTP/2 and HTTP/1.1 over TLS; `modules` beside those that it takes."""
    folder = "/usr/lib/apache2/modules"
    loaded = "".join(f"LoadModule {name}_module {folder}/mod_{name}.so\n" for name in (
        "mpm_event", "authz_core", "ssl", "socache_shmcb", "http2", *modules))
    return f"""{loaded}ServerRoot {work}
ServerName localhost
PidFile {work}/apache2.pid
DefaultRuntimeDir {work}
ErrorLog {work}/apache2.log
Listen 127.0.0.1:{port}
Listen [::1]:{port}
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile {certs.cert}
SSLCertificateKeyFile {certs.key}
{rest}"""


def apache2(work, port, root, certs, origin):
    """Apache httpd over TCP: HTTP/2 (mod_http2) and HTTP/1.1. POST /echo, /upload and /old are `origin`'s."""
    config = work / "apache2.conf"
    config.write_text(apache2_configuration(work, port, certs, ("mime", "proxy", "proxy_http"), f"""KeepAlive On
MaxKeepAliveRequests 0
TypesConfig /etc/mime.types
DocumentRoot {root}
<Directory {root}>
  Require all granted
</Directory>
ProxyPassMatch "^/(echo|upload|old)$" "http://{origin}"
"""))
    return Launch([peer_path("apache2"), "-f", config, "-D", "FOREGROUND"])


def lighttpd_configuration(work, port, root, certs, rest):
    """lighttpd with HTTP/2 and HTTP/1.1 over TLS on both loopback addresses, and mod_proxy for `rest`."""
    listeners = "".join(
        f"""$SERVER["socket"] == "{address}:{port}" {{
  ssl.engine = "enable"
  ssl.pemfile = "{certs.cert}"
  ssl.privkey = "{certs.key}"
}}
""" for address in ("127.0.0.1", "[::1]"))
    return f"""server.modules = ("mod_openssl", "mod_proxy")
server.document-root = "{root}"
server.port = {port}
server.bind = "127.0.0.2"
server.errorlog = "{work}/lighttpd.log"
server.upload-dirs = ("{work}")
server.feature-flags = ("server.h2proto" => "enable")
{listeners}{rest}"""


def lighttpd(work, port, root, certs, origin):
    """lighttpd over TCP: HTTP/2 and HTTP/1.1. POST /echo, /upload and /old are `origin`'s."""
    host, _, backend = origin.rpartition(":")
    config = work / "lighttpd.conf"
    config.write_text(lighttpd_configuration(work, port, root, certs, f"""server.max-keep-alive-requests = 65535
$HTTP["url"] =~ "^/(echo|upload|old)$" {{
  proxy.server = ("" => (("host" => "{host}", "port" => {backend})))
}}
"""))
    return Launch([peer_path("lighttpd"), "-D", "-f", config])


def bun(work, port, root, certs, origin=None, log=None):
    """bun (lsquic). Has the routes of tern's demo site and the files of `root`."""
    options = {"port": port, "cert": str(certs.cert), "key": str(certs.key), "root": str(root)}
    return Launch([peer_path("bun"), INTEROP / "drivers/bun_server.mjs", json.dumps(options)])


def aioquic(work, port, root, certs, origin=None, log=None, flags=()):
    """aioquic's example server, in the chroot. Serves the files of `root`."""
    peer_path("aioquic")
    examples = "/usr/share/doc/python-aioquic-doc/examples"
    command = ["env", "WWW=/srv/root", "PYTHONPATH=/srv/drivers", "PYTHONDONTWRITEBYTECODE=1",
               "python3", f"{examples}/http3_server.py", "--host", "::", "--port", port,
               "--certificate", certs.cert, "--private-key", certs.key, *flags,
               "aioquic_files:app"]
    return Launch(in_chroot([(root, "/srv/root"), (INTEROP / "drivers", "/srv/drivers")], command))


SERVERS = {"caddy": caddy, "gtlsserver": gtlsserver, "nginx": nginx, "haproxy": haproxy, "bun": bun,
           "aioquic": aioquic}
# Those that know no HTTP/3.
TCP_SERVERS = {"apache2": apache2, "lighttpd": lighttpd}


def server(name):
    if name not in SERVERS:
        raise NotRun(f"no server named {name}; there are {', '.join(SERVERS)}")
    return SERVERS[name]
