"""A plain HTTP/1.1 origin for the proxies: python3 origin.py PORT ROOT

GET and HEAD answer with the files of ROOT, POST to /echo and /upload with the request's body and content
type, and /old redirects to a file.
"""

import functools
import http.server
import sys


class Origin(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: no delayed acknowledgement between them

    def do_GET(self):  # the name is http.server's
        if self.path != "/old":
            super().do_GET()
            return
        self.send_response(302)
        self.send_header("location", "/small.txt")
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200 if self.path in ("/echo", "/upload") else 404)
        self.send_header("content-type", self.headers.get("content-type", "text/plain"))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_expect_100(self):
        go_on = super().handle_expect_100()
        self.wfile.flush()  # or the proxy waits for it, and this for the body
        return go_on

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # haproxy opens a connection a stream


handler = functools.partial(Origin, directory=sys.argv[2])
Server(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
