"""`tern serve DIR`: files, folders, and what is not to be served."""

import gzip

from tern_program import HTTP3, TernTest


class FolderTest(TernTest):
    def setUp(self):
        super().setUp()
        self.site = self.folder / "site"
        (self.site / "docs").mkdir(parents=True)
        (self.site / "index.html").write_text("<!doctype html><title>home</title>")
        (self.site / "docs" / "a.txt").write_text("0123456789")
        (self.site / ".secret").write_text("hidden")
        (self.site / "big.css").write_text("x" * 5000)
        (self.site / "big.css.gz").write_bytes(gzip.compress(b"x" * 5000))
        (self.folder / "outside").write_text("outside")

    def test_files(self):
        server = self.serve(str(self.site))
        home = self.assert_done(self.get(server, "/"))
        self.assertIn("home", home.body)
        file = self.assert_done(self.get(server, "/docs/a.txt"))
        self.assertEqual(file.body, "0123456789")
        etag = dict(file.transfer["headers"])["etag"]
        same = self.get(server, "/docs/a.txt", "-H", f"if-none-match: {etag}")
        self.assertEqual(same.transfer["status"], 304)
        part = self.get(server, "/docs/a.txt", "-H", "range: bytes=2-4")
        self.assertEqual((part.transfer["status"], part.body), (206, "234"))

    def test_what_is_not_served(self):
        server = self.serve(str(self.site))
        for path in ("/.secret", "/../outside", "/%2e%2e/outside", "/docs%2fa.txt", "/hello",
                     "/docs/"):
            with self.subTest(path=path):
                self.assertEqual(self.get(server, path).transfer["status"], 404)

    def test_dotfiles_and_listings_when_asked_for(self):
        server = self.serve(str(self.site), "--dotfiles", "--autoindex")
        self.assertEqual(self.get(server, "/.secret").body, "hidden")
        listing = self.assert_done(self.get(server, "/docs/"))
        self.assertIn("a.txt", listing.body)

    def test_redirect_to_the_folder(self):
        server = self.serve(str(self.site), "--autoindex")
        stays = self.get(server, "/docs")
        self.assertIn(stays.transfer["status"], (301, 308))
        followed = self.assert_done(self.get(server, "/docs", "-L"))
        self.assertEqual(followed.transfer["redirects"], 1)
        self.assertTrue(followed.transfer["final_url"].endswith("/docs/"))
        heads = self.tern("get", HTTP3, "-i", "-L", "--cacert", self.ca, *self.reach(server),
                          server.url + "/docs").stdout
        self.assertIn("location: /docs/", heads)
        self.assertEqual(heads.count("HTTP/3 "), 2, heads)  # as curl shows them

    def test_compressed(self):
        server = self.serve(str(self.site))
        fetched = self.assert_done(self.get(server, "/big.css", "--compressed"))
        self.assertIn(["content-encoding", "gzip"], fetched.transfer["headers"])
        self.assertEqual(fetched.transfer["body_bytes"], 5000)
        self.assertLess(fetched.transfer["received_bytes"], 500)
        self.assertEqual(fetched.body, "x" * 5000)

    def test_remote_name(self):
        server = self.serve(str(self.site))
        where = self.folder / "downloads"
        where.mkdir()
        self.assert_done(self.get(server, "/docs/a.txt", "-O", cwd=where))
        self.assertEqual((where / "a.txt").read_text(), "0123456789")
