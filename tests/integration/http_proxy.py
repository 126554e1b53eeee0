"""An HTTP proxy as Python programs it: CONNECT, whole URLs, Basic, perhaps over TLS. It keeps the first
line and the fields of every request."""

import http.client
import http.server
import select
import socket
import ssl
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def admit(self):
        self.server.requests.append((self.requestline, dict(self.headers.items())))
        wanted = self.server.authorization
        if wanted is None or self.headers.get("proxy-authorization") == wanted:
            return True
        self.send_response(407)
        self.send_header("proxy-authenticate", 'Basic realm="test"')
        self.send_header("content-length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self):
        if not self.admit():
            return
        host, port = self.path.rsplit(":", 1)
        try:
            origin = socket.create_connection((self.server.names.get(host, host), int(port)))
        except OSError:
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with origin:
            self.carry(origin)

    def carry(self, origin):
        ends = {self.connection: origin, origin: self.connection}
        while ends:
            pending = getattr(self.connection, "pending", lambda: 0)()
            ready = [self.connection] if pending and self.connection in ends else \
                select.select(list(ends), [], [])[0]
            for end in ready:
                try:
                    piece = end.recv(65536)
                    if piece:
                        ends[end].sendall(piece)
                        continue
                except OSError:
                    return
                if end is self.connection:
                    return
                del ends[end]

    def do_GET(self):
        if not self.admit():
            return
        url = urllib.parse.urlsplit(self.path)
        origin = http.client.HTTPConnection(self.server.names.get(url.hostname, url.hostname),
                                            url.port or 80)
        origin.request("GET", url.path, headers={"host": self.headers["host"]})
        response = origin.getresponse()
        body = response.read()
        self.send_response(response.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        origin.close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that gave up is none of the proxy's business."""


class Proxy:
    def __init__(self, certificate=None, authorization=None, names=None):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.requests = []
        self.server.authorization = authorization
        self.server.names = names or {}
        self.port = self.server.server_port
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def requests(self):
        return self.server.requests

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
