"""`tern get` from servers that are odd, old or wrong: the body, or curl's exit code and one line that says what is the matter."""

import gzip
import socket
import ssl
import subprocess
import threading
import zlib

from tern_program import TernTest

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n\r\nok"
ZIPPED = gzip.compress(b"hello ") + gzip.compress(b"world")


def coded(name, body):
    return OK + b"Content-Encoding: " + name + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


# What a server says, and what comes of it.
FINE = {
    "a body that ends with the connection": (OK + b"\r\nok", "ok"),
    "no reason phrase, nor a space": (b"HTTP/1.1 200\r\n" + TWO, "ok"),
    "no reason phrase": (b"HTTP/1.1 200 \r\n" + TWO, "ok"),
    "a reason phrase that is not ASCII": (b"HTTP/1.1 200 \xc3\xa4\r\n" + TWO, "ok"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + TWO, "ok"),
    "a status nobody knows": (b"HTTP/1.1 999 Odd\r\n" + TWO, "ok"),
    "many interim responses": (b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + OK + TWO, "ok"),
    "100 that nobody waited for": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + TWO, "ok"),
    "chunk extensions": (OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b;c=\"d;e\"\r\nok\r\n0;x\r\n\r\n", "ok"),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", "ok"),
    "two hundred header lines": (OK + b"".join(b"X-%d: y\r\n" % i for i in range(200)) + TWO, "ok"),
    "a header line of 60,000 bytes": (OK + b"X: " + b"y" * 60000 + b"\r\n" + TWO, "ok"),
    "a header line in latin-1": (OK + b"X: \xe4\r\n" + TWO, "ok"),
    "bytes behind the body": (OK + TWO + b"GARBAGE\r\n\r\n", "ok"),
    "a 204 with a body": (b"HTTP/1.1 204 No Content\r\n" + TWO, ""),
    "a 304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""),
    "gzip in several members": (coded(b"gzip", ZIPPED), "hello world"),
    "gzip by its old name": (coded(b"x-gzip", ZIPPED), "hello world"),
    "gzip of nothing": (coded(b"gzip", b""), ""),
}

WRONG = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", 8, "does not begin with HTTP/"),
    "HTTP/0.9": (b"<html>hello", 8, "does not begin with HTTP/"),
    "a bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 8, "bare LF"),
    "two lengths": (OK + b"Content-Length: 2\r\n" + TWO, 8, "more than one content-length"),
    "two different lengths": (OK + b"Content-Length: 3\r\n" + TWO, 8, "content-length"),
    "length and chunked": (OK + b"Transfer-Encoding: chunked\r\n" + TWO, 8, "beside"),
    "a length below zero": (OK + b"Content-Length: -1\r\n\r\nok", 8, "content-length"),
    "a transfer coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 8, "not known here"),
    "a folded header line": (OK + b"X: a\r\n b\r\n" + TWO, 8, "folded"),
    "a NUL in a header line": (OK + b"X: a\0b\r\n" + TWO, 8, "control character"),
    "a chunk size that is none": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n", 56, "chunk size"),
    "an upgrade nobody asked for": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 8, "upgrade"),
    "nothing": (b"", 52, "without a response"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", 52, "in the middle"),
    "half a body": (OK + b"Content-Length: 10\r\n\r\nhalf", 18, "in the middle"),
    "no last chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 18, "in the middle"),
    "too many header lines": (OK + b"X: y\r\n" * 500 + TWO, 56, "limit"),
    "too large a header": (OK + b"X: " + b"y" * 300000 + b"\r\n" + TWO, 56, "limit"),
    "gzip cut short": (coded(b"gzip", ZIPPED[:-5]), 61, "gzip: the body was cut short"),
    "no gzip": (coded(b"gzip", b"plain text"), 61, "gzip: "),
    "brotli cut short": (coded(b"br", b"\x0b"), 61, "br: the body was cut short"),
    "zstd cut short": (coded(b"zstd", b"\x28\xb5\x2f\xfd\x04"), 61, "zstd: the body was cut short"),
    "deflate": (coded(b"deflate", zlib.compress(b"hello")), 61, 'not asked for: "deflate"'),
    "a redirect in a ring": (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 47, "redirects"),
}


class OddServer:
    """Answers each connection's first request with the same bytes, and closes it; over TLS with a context."""

    def __init__(self, answer, context=None):
        self.answer = answer
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            worker = threading.Thread(target=self._talk, args=(connection,))
            self.threads.append(worker)
            worker.start()

    def _talk(self, connection):
        connection.settimeout(20)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(65536)
                if not piece:
                    return
                request += piece
            connection.sendall(self.answer)
            if self.context:
                connection.unwrap()
        except OSError:
            pass  # the client has seen enough
        finally:
            connection.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()


class Http1Wanted(OddServer):
    """Over TLS; in HTTP/2 each request is answered by `frames` of what means HTTP_1_1_REQUIRED."""

    def __init__(self, frames, context):
        self.frames = frames
        self.versions = []
        context.set_alpn_protocols(["h2", "http/1.1"])
        super().__init__(OK + TWO, context)

    def _talk(self, connection):
        connection.settimeout(20)
        try:
            connection = self.context.wrap_socket(connection, server_side=True)
            self.versions.append(connection.selected_alpn_protocol())
            if self.versions[-1] == "http/1.1":
                while connection.recv(65536):
                    connection.sendall(self.answer)
                return
            connection.sendall(frame(4, 0, b""))
            received = b""
            while True:  # the preface, and frames up to HEADERS
                received += connection.recv(65536)
                at = 24
                while len(received) >= at + 9 and received[at + 3] != 1:
                    at += 9 + int.from_bytes(received[at:at + 3], "big")
                if len(received) >= at + 9:
                    break
            connection.sendall(self.frames)
            while connection.recv(65536):
                pass
        except OSError:
            pass
        finally:
            connection.close()


def frame(kind, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + payload


class OddTest(TernTest):
    def odd(self, *arguments):
        server = OddServer(*arguments)
        self.addCleanup(server.stop)
        return server

    def assert_line(self, finished, code, *parts):
        self.assertEqual(finished.returncode, code, finished.stderr)
        self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
        for part in parts:
            self.assertIn(part, finished.stderr)


class OddAnswersTest(OddTest):
    def ask(self, server):
        return self.tern("get", "-L", "--max-redirs", "3", "--compressed",
                         f"http://127.0.0.1:{server.port}/")

    def test_answers_that_will_do(self):
        for name, (answer, body) in FINE.items():
            with self.subTest(name):
                finished = self.ask(self.odd(answer))
                self.assertEqual((finished.returncode, finished.stdout, finished.stderr), (0, body, ""))

    def test_answers_that_will_not(self):
        for name, (answer, code, part) in WRONG.items():
            with self.subTest(name):
                server = self.odd(answer)
                self.assert_line(self.ask(server), code, part, f"127.0.0.1:{server.port}")


class OddTlsTest(OddTest):
    """Over TCP, with certificates of our own."""

    def setUp(self):
        super().setUp()
        self.openssl("req", "-x509", *self.key("P-256"), "-keyout", "ca.key", "-out", "ca.pem", "-subj",
                     "/CN=Odd CA", "-days", "30")

    @staticmethod
    def key(curve):
        kind = ["rsa:2048"] if curve == "RSA" else ["ec", "-pkeyopt", f"ec_paramgen_curve:{curve}"]
        return ["-newkey", *kind, "-nodes"]

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder)

    def context(self, curve="P-256", days=10, name="localhost", issuer="ca", newest=None, ciphers=None,
                group=None):
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{name}\n")
        self.openssl("req", *self.key(curve), "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={name}")
        signing = ["-signkey", "leaf.key"] if issuer is None else ["-CA", "ca.pem", "-CAkey", "ca.key",
                                                                     "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", "leaf.csr", *signing, "-out", "leaf.pem", "-extfile", "extensions",
                     "-days", str(days))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "leaf.pem", self.folder / "leaf.key")
        if newest:
            context.minimum_version = min(context.minimum_version, newest)
            context.maximum_version = newest
        if ciphers:
            context.set_ciphers(ciphers)
        if group:
            context.set_ecdh_curve(group)
        return context

    def ask(self, context, *flags, trusted=True):
        server = self.odd(OK + TWO, context)
        trust = ["--cacert", self.folder / "ca.pem"] if trusted else []
        return self.tern("get", "--http2", *trust, *flags, "--resolve", f"localhost:{server.port}:127.0.0.1",
                         f"https://localhost:{server.port}/")

    def test_old_but_sound(self):
        old = ssl.TLSVersion.TLSv1_2
        for name, context in {
                "RSA": self.context("RSA"),
                "P-384": self.context("P-384"),
                "P-384 for the keys": self.context(group="secp384r1"),
                "TLS 1.2": self.context(newest=old),
                "TLS 1.2, RSA": self.context("RSA", newest=old),
                "TLS 1.2, ChaCha20": self.context("RSA", newest=old, ciphers="ECDHE-RSA-CHACHA20-POLY1305"),
        }.items():
            with self.subTest(name):
                finished = self.ask(context)
                self.assertEqual((finished.returncode, finished.stdout), (0, "ok"), finished.stderr)

    def test_nothing_in_common(self):
        old = ssl.TLSVersion.TLSv1_2
        for name, context in {
                "RSA for the keys": self.context("RSA", newest=old, ciphers="AES128-GCM-SHA256"),
                "CBC": self.context("RSA", newest=old, ciphers="ECDHE-RSA-AES128-SHA"),
                "finite fields": self.context("RSA", newest=old, ciphers="DHE-RSA-AES128-GCM-SHA256"),
        }.items():
            with self.subTest(name):
                self.assert_line(self.ask(context), 35, "handshake_failure: no version, cipher, curve")

    def test_certificates(self):
        expired = self.ask(self.context(days=0))  # valid up to the second it was made in; OpenSSL 3.5 takes no less
        self.assert_line(expired, 60, "https://localhost:", "has expired", "trust any certificate with -k")
        self.assertNotIn("--cacert", expired.stderr)
        other = self.ask(self.context(name="other.test"))
        self.assert_line(other, 60, "https://localhost:", "mismatch", "the certificate is for other.test")
        self.assertNotIn("--cacert", other.stderr)
        self.assert_line(self.ask(self.context(issuer=None)), 60, "https://localhost:", "self signed", "--cacert")
        self.assert_line(self.ask(self.context(), trusted=False), 60, "issued by /CN=Odd CA", "--cacert")
        trusted = self.ask(self.context(days=0), "-k")
        self.assertEqual((trusted.returncode, trusted.stdout), (0, "ok"), trusted.stderr)

    def test_http_1_1_required(self):
        code = (0xd).to_bytes(4, "big")
        for name, frames in {"a reset": frame(3, 1, code), "GOAWAY": frame(7, 0, bytes(4) + code),
                             "GOAWAY that takes the request":
                                 frame(7, 0, (1).to_bytes(4, "big") + code) + frame(3, 1, code)}.items():
            with self.subTest(name):
                server = Http1Wanted(frames, self.context())
                self.addCleanup(server.stop)
                url = f"https://localhost:{server.port}/"
                reach = ["--cacert", self.folder / "ca.pem", "--resolve", f"localhost:{server.port}:127.0.0.1"]
                finished = self.tern("get", "-v", "--http2", "-X", "POST", *reach, url, url)
                self.assertEqual((finished.returncode, finished.stdout), (0, "okok"), finished.stderr)
                self.assertEqual(server.versions, ["h2", "http/1.1"], finished.stderr)
                self.assertIn("the server wants HTTP/1.1", finished.stderr)

    def test_no_tls_at_all(self):
        for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"):
            with self.subTest(said):
                listener = socket.create_server(("127.0.0.1", 0))
                self.addCleanup(listener.close)

                def answer(listener=listener, said=said):
                    connection, _ = listener.accept()
                    connection.recv(65536)
                    connection.sendall(said)
                    connection.recv(65536)  # the alert
                    connection.close()

                thread = threading.Thread(target=answer)
                thread.start()
                finished = self.tern("get", "--http2", f"https://127.0.0.1:{listener.getsockname()[1]}/")
                thread.join()
                self.assert_line(finished, 35, "does not speak TLS")
