"""A server of HTTP/1.0 whose bodies end with the connection: old_server.py PORT ROOT

POST /echo answers with the request's body. http.server does the rest.
"""

import functools
import http.server
import pathlib
import sys


class Old(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def __init__(self, root, *arguments):
        self.root = pathlib.Path(root)
        super().__init__(*arguments)

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/octet-stream")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):  # the names are http.server's
        file = self.root / pathlib.PurePosixPath(self.path).name
        self._answer(*((200, file.read_bytes()) if file.is_file() else (404, b"not here\n")))

    do_HEAD = do_GET

    def do_POST(self):
        self._answer(200, self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *_):
        pass


handler = functools.partial(Old, sys.argv[2])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
