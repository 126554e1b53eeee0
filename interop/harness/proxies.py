"""Reverse proxies in front of an HTTP/1.1 server that has WebSockets: how each is told to pass them on.

A proxy listens on `port` over TLS, for all versions of HTTP that it has, and connects to `upstream`, a host:port.
"""

from harness.process import peer_path
from harness.servers import Launch, in_chroot, nginx_configuration


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


PROXIES = {"nginx": nginx, "haproxy": haproxy, "caddy": caddy}
