"""`tern get` through HTTP proxies."""

import json

from http_proxy import Proxy
from tern_program import Fetched, TernTest

BASIC = "Basic dGVybjphIGI="  # tern:a b


class ProxyTest(TernTest):
    def proxy(self, **options):
        proxy = Proxy(**options)
        self.addCleanup(proxy.stop)
        return proxy

    def fetch(self, *words, env=None):
        return Fetched(self.tern("get", "--json", "-v", "--cacert", self.ca, *words, env=env))

    def test_https_is_tunnelled(self):
        server, proxy = self.serve(), self.proxy()
        there = f"http://127.0.0.1:{proxy.port}"
        for words, env, protocol in (
                (["-x", there], {}, "h2"),
                (["-x", there, "--http1.1"], {}, "http/1.1"),
                (["-x", there, "--engine", "epoll"], {}, "h2"),
                ([], {"https_proxy": there}, "h2"),
                ([], {"HTTPS_PROXY": f"127.0.0.1:{proxy.port}"}, "h2"),
                ([], {"all_proxy": there, "no_proxy": "example.org"}, "h2")):
            with self.subTest(words=words, env=env):
                proxy.requests.clear()
                fetched = self.fetch(*words, server.url + "/bytes/2000000", env=env)
                self.assertEqual(fetched.code, 0, fetched.stderr)
                self.assertEqual(fetched.transfer["protocol"], protocol)
                self.assertEqual(fetched.transfer["body_bytes"], 2_000_000)
                self.assertIn(f"through the proxy {there} for localhost:{server.port}",
                              fetched.stderr)
                self.assertNotIn("over UDP", fetched.stderr)
                [(line, fields)] = proxy.requests
                self.assertEqual(line, f"CONNECT localhost:{server.port} HTTP/1.1")
                self.assertEqual(fields, {"host": f"localhost:{server.port}"})

    def test_http_is_forwarded(self):
        server = self.serve("--http", "127.0.0.1:0")
        proxy = self.proxy(names={"plain.example": "127.0.0.1"})
        port = server.start["http_addresses"].rsplit(":", 1)[1]
        url = f"http://plain.example:{port}/hello"
        there = f"http://127.0.0.1:{proxy.port}"
        fetched = self.fetch("-H", "host: other.example", url, url, env={"http_proxy": there})
        self.assertEqual(fetched.code, 0, fetched.stderr)
        self.assertEqual([t["body"] for t in fetched.transfers], ["hello over http/1.1\n"] * 2)
        for line, fields in proxy.requests:
            self.assertEqual(line, f"GET {url} HTTP/1.1")
            self.assertEqual(fields["host"], "other.example")
        self.assertEqual(len(fetched.connections), 1, "the proxy's connection is kept")
        # HTTP/2 at once is between client and origin.
        proxy.requests.clear()
        fetched = self.fetch("--http2", "-x", there, url)
        self.assertEqual(fetched.body, "hello over h2\n", fetched.stderr)
        self.assertEqual(proxy.requests[0][0], f"CONNECT plain.example:{port} HTTP/1.1")

    def test_around_it(self):
        server, proxy = self.serve(), self.proxy()
        there = f"http://127.0.0.1:{proxy.port}"
        for words, env in ((["--noproxy", "localhost", "-x", there], {}),
                           (["--noproxy", "*"], {"https_proxy": there}),
                           (["-x", ""], {"https_proxy": there}),
                           ([], {"https_proxy": there, "no_proxy": "example.org,localhost"}),
                           ([], {"http_proxy": there, "HTTP_PROXY": there})):
            with self.subTest(words=words, env=env):
                fetched = self.fetch(*words, *self.reach(server), server.url + "/hello", env=env)
                self.assertEqual(fetched.transfer["status"], 200, fetched.stderr)
        self.assertEqual(proxy.requests, [])

    def bench(self, *words, env=None):
        finished = self.tern("bench", "--json", "--cacert", self.ca, *words, env=env)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        report = json.loads(finished.stdout)
        self.assertEqual(report["errors"], {}, report)
        return report

    def test_loads_go_through_it(self):
        server = self.serve("--http", "127.0.0.1:0")
        proxy = self.proxy(names={"plain.example": "127.0.0.1"})
        there = f"http://127.0.0.1:{proxy.port}"
        env = {"https_proxy": there, "http_proxy": there}
        tunnel = f"CONNECT localhost:{server.port} HTTP/1.1"
        port = server.start["http_addresses"].rsplit(":", 1)[1]
        plain = f"plain.example:{port}"
        echo = f"wss://localhost:{server.port}/ws/echo"
        for words, protocol, seen in (
                ((server.url + "/hello",), "h2", [tunnel] * 2),
                (("--http1.1", server.url + "/hello"), "http/1.1", [tunnel] * 2),
                (("--http1.1", echo), "http/1.1", [tunnel] * 2),
                ((f"ws://{plain}/ws/echo",), "http/1.1", [f"CONNECT {plain} HTTP/1.1"] * 2),
                ((f"http://{plain}/hello",), "http/1.1", [f"GET http://{plain}/hello HTTP/1.1"] * 50)):
            with self.subTest(words=words):
                proxy.requests.clear()
                report = self.bench("-c", "2", "-n", "50", *words, env=env)
                self.assertEqual((report["protocol"], report["requests"]), (protocol, 50))
                self.assertEqual([line for line, _ in proxy.requests], seen)
        # Around it, and what HTTP/3 makes of it.
        proxy.requests.clear()
        around = env | {"no_proxy": "localhost"}
        self.assertEqual(self.bench("-c", "2", "-n", "50", server.url + "/hello",
                                    env=around)["protocol"], "h3")
        self.assertEqual(proxy.requests, [])
        finished = self.tern("bench", "--http3-only", server.url + "/hello", env=env)
        self.assertEqual(finished.returncode, 2, finished.stderr)
        self.assertIn("HTTP/3 goes through no HTTP proxy", finished.stderr)

    def test_websockets_go_through_it(self):
        server, proxy = self.serve(), self.proxy()
        there = f"http://127.0.0.1:{proxy.port}"
        url = f"wss://localhost:{server.port}/ws/echo"
        for words, env, carrier in (
                ([], {"https_proxy": there}, "h2"),
                (["--carrier", "http1.1"], {"all_proxy": there}, "http/1.1"),
                (["-x", there], {}, "h2")):
            with self.subTest(words=words, env=env):
                proxy.requests.clear()
                finished = self.tern("ws", "--json", "--cacert", self.ca, "-m", "hello", "--wait", "1s",
                                     *words, url, env=env)
                self.assertEqual(finished.returncode, 0, finished.stderr)
                report = json.loads(finished.stdout)
                self.assertEqual(report["carrier"], carrier)
                self.assertEqual([each["text"] for each in report["messages"]], ["hello"])
                self.assertEqual([line for line, _ in proxy.requests],
                                 [f"CONNECT localhost:{server.port} HTTP/1.1"])
        proxy.requests.clear()
        finished = self.tern("ws", "--json", "--cacert", self.ca, "-m", "x", *self.reach(server), url,
                             env={"https_proxy": there, "no_proxy": "localhost"})
        self.assertEqual((finished.returncode, proxy.requests), (0, []), finished.stderr)

    def test_user_and_password(self):
        server, proxy = self.serve(), self.proxy(authorization=BASIC)
        fetched = self.fetch("-x", f"http://tern:a%20b@127.0.0.1:{proxy.port}",
                             server.url + "/hello")
        self.assertEqual(fetched.code, 0, fetched.stderr)
        self.assertEqual(proxy.requests[0][1]["proxy-authorization"], BASIC)
        self.assertNotIn("a%20b", fetched.stderr)
        for user in ("", "tern:wrong@"):
            finished = self.tern("get", "-x", f"http://{user}127.0.0.1:{proxy.port}",
                                 server.url + "/hello")
            self.assertEqual(finished.returncode, 97, finished.stderr)
            self.assertIn("refuses a tunnel to localhost:", finished.stderr)
            self.assertIn("407", finished.stderr)

    def test_tls_to_the_proxy(self):
        server = self.serve()
        folder = self.home / "tern"
        proxy = self.proxy(certificate=(folder / "cert.pem", folder / "key.pem"))
        there = f"https://127.0.0.1:{proxy.port}"
        fetched = self.fetch("-x", there, "--proxy-cacert", self.ca, server.url + "/bytes/2000000")
        self.assertEqual(fetched.code, 0, fetched.stderr)
        self.assertEqual(fetched.transfer["protocol"], "h2")
        self.assertEqual(fetched.transfer["body_bytes"], 2_000_000)
        fetched = self.fetch("-x", there, "--proxy-insecure", server.url + "/hello")
        self.assertEqual(fetched.code, 0, fetched.stderr)
        finished = self.tern("get", "-k", "-x", there, server.url + "/hello")
        self.assertEqual(finished.returncode, 60, "-k is about the origin")
        self.assertIn("the proxy: ", finished.stderr)

    def test_what_goes_wrong(self):
        server, proxy = self.serve(), self.proxy()
        there = f"http://127.0.0.1:{proxy.port}"
        closed = self.proxy()
        closed.stop()
        self._cleanups.pop()
        for words, code, part in (
                (["-x", f"http://127.0.0.1:{closed.port}"], 7, "cannot connect to the proxy at"),
                (["-x", "socks5://127.0.0.1:1"], 2, "--proxy: "),
                (["-x", "http://no-such-proxy.invalid:1"], 5, "no-such-proxy.invalid"),
                (["-x", there, "--http3-only"], 3, "through a proxy")):
            with self.subTest(words=words):
                finished = self.tern("get", *words, server.url + "/hello")
                self.assertEqual(finished.returncode, code, finished.stderr)
                self.assertIn(part, finished.stderr)
        finished = self.tern("get", "-x", there, "https://127.0.0.1:1/")
        self.assertEqual(finished.returncode, 97, finished.stderr)
        self.assertIn("502", finished.stderr)
