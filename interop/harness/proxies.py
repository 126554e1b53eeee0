"""Reverse proxies in front of an HTTP/1.1 server that has WebSockets: how each is told to pass them on.

A proxy listens on `port` over TLS, for all versions of HTTP that it has, and connects to `upstream`, a host:port. Apache httpd's `scheme`
may be h2c as well: HTTP/2 without TLS.
"""

from harness.process import free_port, peer_path, wait_for_quic, wait_for_tcp
from harness.servers import (Launch, apache2_configuration, in_chroot, lighttpd_configuration,
                             nginx_configuration)


def nginx(work, port, upstream, certs):
    """Its upgrade is said by hand: connection fields do not pass a proxy by themselves."""
    peer_path("nginx")
    config = work / "proxy.conf"
    config.write_text("user root;\n" + nginx_configuration(
        work,
        f"""listen 127.0.0.1:{port} quic reuseport;
    listen [::1]:{port} quic reuseport;
    listen 127.0.0.1:{port} ssl;
    listen [::1]:{port} ssl;
    http2 on;
    ssl_certificate {certs.cert};
    ssl_certificate_key {certs.key};
    ssl_protocols TLSv1.3;""",
        f"""location / {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $host:$server_port;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}""", None))
    return Launch(in_chroot([], ["nginx", "-c", config, "-e", work / "nginx.log"]))


def haproxy(work, port, upstream, certs):
    """Turns the extended CONNECT of HTTP/2 into an upgrade of HTTP/1.1 by itself."""
    peer_path("haproxy")
    combined = work / "haproxy.pem"
    combined.write_bytes(certs.cert.read_bytes() + certs.key.read_bytes())
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
  timeout tunnel 60s

frontend http
  bind quic4@127.0.0.1:{port} ssl crt {combined} alpn h3
  bind quic6@[::1]:{port} ssl crt {combined} alpn h3
  bind 127.0.0.1:{port} ssl crt {combined} alpn h2,http/1.1
  bind [::1]:{port} ssl crt {combined} alpn h2,http/1.1
  default_backend tern

backend tern
  server tern {upstream}
""")
    return Launch(in_chroot([], ["haproxy", "-db", "-f", config]))


def caddy(work, port, upstream, certs):
    config = work / "Caddyfile"
    config.write_text(f"""{{
	admin off
	auto_https off
	log {{
		level ERROR
	}}
}}
https://:{port} {{
	tls {certs.cert} {certs.key}
	reverse_proxy {upstream}
}}
""")
    return Launch([peer_path("caddy"), "run", "--config", config, "--adapter", "caddyfile"],
                  env={"XDG_DATA_HOME": str(work), "XDG_CONFIG_HOME": str(work)})


def apache2(work, port, upstream, certs, scheme="http"):
    config = work / "proxy.conf"
    modules = ("proxy", "proxy_http", "proxy_http2", "proxy_wstunnel")
    config.write_text(apache2_configuration(work, port, certs, modules, f"""ProxyPreserveHost on
ProxyPass /ws/ ws://{upstream}/ws/
ProxyPass / {scheme}://{upstream}/
"""))
    return Launch([peer_path("apache2"), "-f", config, "-D", "FOREGROUND"])


def lighttpd(work, port, upstream, certs):
    """Turns the extended CONNECT of HTTP/2 into an upgrade of HTTP/1.1 by itself."""
    host, _, backend = upstream.rpartition(":")
    config = work / "proxy.conf"
    config.write_text(lighttpd_configuration(
        work, port, work, certs, f"""proxy.server = ("" => (("host" => "{host}", "port" => {backend})))
proxy.header = ("upgrade" => "enable", "connect" => "enable")
"""))
    return Launch([peer_path("lighttpd"), "-D", "-f", config])


PROXIES = {"nginx": nginx, "haproxy": haproxy, "caddy": caddy, "apache2": apache2, "lighttpd": lighttpd}
# Those that know no HTTP/3.
TCP_PROXIES = {"apache2", "lighttpd"}


def start_proxy(run, name, upstream, **options):
    """The port of a proxy that is ready."""
    port = free_port()
    launch = PROXIES[name](run.folder, port, upstream, run.certs, **options)
    process = run.start(name, launch.command, env=launch.env)
    (wait_for_tcp if name in TCP_PROXIES else wait_for_quic)(process, port)
    return port
