"""Signals, certificates, logs: what runs a server over days."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time

from tern_program import HTTP3, PATIENCE, TERN, TernTest, environment


class SignalTest(TernTest):
    def test_counters(self):
        server = self.serve("--workers", "2")
        before = server.counters()
        self.assertEqual(before["http3.requests"], 0)
        self.assert_done(self.get(server, "/hello", "/hello"))
        after = server.counters()
        self.assertEqual(after["http3.requests"], 2)
        self.assertEqual(after["quic.connections_accepted"], 1)
        self.assertGreater(after["quic.packets_sent"], 0)
        self.assertGreaterEqual(after["udp.receive.datagrams"], 2)
        self.assertGreaterEqual(after["udp.send.datagrams"], 2)

    def test_every_counter_of_the_manual_is_there(self):
        manual = (pathlib.Path(__file__).parents[2] / "docs" / "operations.md").read_text()
        table = manual.split("## Counters")[1].split("\n## ")[0]
        names = []
        for row in (line for line in table.splitlines() if line.startswith("| `")):
            for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
                if name[0] in "._":  # the other of a pair: `a.b`, `.c` and `a.b_c`, `_d`
                    name = names[-1].rsplit(name[0], 1)[0] + name
                names.append(name)
        self.assertGreater(len(names), 30)
        counters = self.serve().counters()
        for name in names:
            with self.subTest(counter=name):
                begin = name.rstrip("…")
                self.assertTrue(name in counters if begin == name
                                else any(c.startswith(begin) for c in counters))

    def start_download(self, server, size, out):
        return subprocess.Popen(
            [TERN, "get", HTTP3, "--json", "--cacert", self.ca, "-o", str(out), *self.reach(server),
             f"{server.url}/bytes/{size}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(self.home))

    @staticmethod
    def wait_for_request(server):
        """A connection whose handshake is under way would be refused by a server that drains."""
        while server.counters().get("http3.requests", 0) == 0:
            time.sleep(0.01)

    def test_drain_lets_requests_finish(self):
        server = self.serve("--drain-timeout", "60s")
        out = self.folder / "out"
        size = 60_000_000
        client = self.start_download(server, size, out)
        self.wait_for_request(server)
        server.signal(signal.SIGTERM)
        server.event("message", text="draining")
        stdout, stderr = client.communicate(timeout=PATIENCE)
        self.assertEqual(client.returncode, 0, stdout + stderr)
        self.assertEqual(out.stat().st_size, size)
        self.assertEqual(server.wait(), 0)

    def test_a_second_signal_stops_at_once(self):
        server = self.serve("--drain-timeout", "60s")
        client = self.start_download(server, 10_000_000_000, "/dev/null")
        self.wait_for_request(server)
        server.signal(signal.SIGINT)
        server.event("message", text="draining")
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)
        client.communicate(timeout=PATIENCE)
        self.assertIn(client.returncode, (56, 95))

    def test_drain_timeout(self):
        server = self.serve("--drain-timeout", "200ms")
        client = self.start_download(server, 10_000_000_000, "/dev/null")
        self.wait_for_request(server)
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)
        client.communicate(timeout=PATIENCE)
        self.assertIn(client.returncode, (56, 95))

    def test_interrupted_client(self):
        server = self.serve()
        client = self.start_download(server, 10_000_000_000, "/dev/null")
        self.wait_for_request(server)
        client.send_signal(signal.SIGINT)
        stdout, _ = client.communicate(timeout=PATIENCE)
        self.assertEqual(client.returncode, 130)
        self.assertEqual(json.loads(stdout)["exit_code"], 130)
        while server.counters()["quic.connections_open"] != 0:
            time.sleep(0.01)  # it said goodbye: no idle timeout passes

    def test_certificates_are_reloaded(self):
        one = json.loads(self.tern("cert", "--json", "--dir", self.folder / "one").stdout)
        two = json.loads(self.tern("cert", "--json", "--dir", self.folder / "two").stdout)
        server = self.serve("--cert", one["certificate"], "--key", one["key"], "--workers", "2")
        reach = [*self.reach(server), server.url + "/hello"]

        long_lived = self.start_download(server, 10_000_000_000, "/dev/null")
        # The client of the first certificate trusts another CA than this user's.
        long_lived.kill()
        long_lived.communicate()
        self.assertEqual(self.tern("get", "--cacert", one["ca"], *reach).returncode, 0)
        self.assertEqual(self.tern("get", "--cacert", two["ca"], *reach).returncode, 60)
        for kind in ("certificate", "key"):
            with open(two[kind]) as source, open(one[kind], "w") as target:
                target.write(source.read())
        server.signal(signal.SIGHUP)
        server.event("message", text=two["spki_sha256"])
        self.assertEqual(self.tern("get", "--cacert", two["ca"], *reach).returncode, 0)
        self.assertEqual(self.tern("get", "--cacert", one["ca"], *reach).returncode, 60)

    def test_reload_keeps_connections_and_bad_files_change_nothing(self):
        made = json.loads(self.tern("cert", "--json", "--dir", self.folder / "one").stdout)
        server = self.serve("--cert", made["certificate"], "--key", made["key"])
        out = self.folder / "out"
        size = 60_000_000
        client = subprocess.Popen(
            [TERN, "get", HTTP3, "--json", "--cacert", made["ca"], "-o", str(out), *self.reach(server),
             f"{server.url}/bytes/{size}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment(self.home))
        self.wait_for_request(server)
        with open(made["key"], "w") as key:
            key.write("nonsense")
        server.signal(signal.SIGHUP)
        server.event("message", level="error")
        stdout, stderr = client.communicate(timeout=PATIENCE)
        self.assertEqual(client.returncode, 0, stdout + stderr)
        self.assertEqual(out.stat().st_size, size)
        again = self.tern("get", HTTP3, "--cacert", made["ca"], *self.reach(server),
                          server.url + "/hello")
        self.assertEqual(again.stdout, "hello over h3\n", again.stderr)


class CertificateTest(TernTest):
    def test_sni_chooses(self):
        certificates = {}
        for name in ("one.test", "two.test"):
            certificates[name] = json.loads(
                self.tern("cert", "--json", name, "--dir", self.folder / name).stdout)
        flags = []
        for made in certificates.values():
            flags += ["--cert", made["certificate"], "--key", made["key"]]
        server = self.serve(*flags)
        for name, made in certificates.items():
            fetched = self.tern("get", HTTP3, "--cacert", made["ca"], "--resolve",
                                f"{name}:{server.port}:127.0.0.1",
                                f"https://{name}:{server.port}/hello")
            self.assertEqual(fetched.stdout, "hello over h3\n", fetched.stderr)

    def test_cert_is_kept_until_it_must_change(self):
        first = json.loads(self.tern("cert", "--json").stdout)
        self.assertTrue(first["made"])
        second = json.loads(self.tern("cert", "--json").stdout)
        self.assertFalse(second["made"])
        self.assertEqual(first["sha256"], second["sha256"])
        named = json.loads(self.tern("cert", "--json", "demo.test").stdout)
        self.assertTrue(named["made"])
        self.assertIn("demo.test", named["names"])
        renewed = json.loads(self.tern("cert", "--json", "demo.test", "--renew").stdout)
        self.assertNotEqual(named["sha256"], renewed["sha256"])
        self.assertEqual(len(bytes.fromhex(renewed["sha256"])), 32)
        key_mode = (self.home / "tern" / "key.pem").stat().st_mode & 0o777
        self.assertEqual(key_mode, 0o600)

    def test_programs_that_start_at_once_share_one(self):
        for round_ in range(6):
            home = self.folder / f"home{round_}"
            started = [subprocess.Popen([TERN, "cert", "--json"], text=True, env=environment(home),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                       for _ in range(6)]
            told = [program.communicate(timeout=PATIENCE) for program in started]
            self.assertEqual([p.returncode for p in started], [0] * len(started), told)
            certificates = [json.loads(out) for out, _ in told]
            self.assertEqual(sum(c["made"] for c in certificates), 1)
            self.assertEqual(len({c["sha256"] for c in certificates}), 1)
            self.assertEqual(len(list((home / "tern").iterdir())), 4)


class ConfigTest(TernTest):
    def test_the_example_of_the_manual(self):
        manual = (pathlib.Path(__file__).parents[2] / "docs" / "cli.md").read_text()
        example = manual.split("```toml\n")[1].split("```")[0]
        (self.folder / "tern.toml").write_text(example)
        (self.folder / "public").mkdir()
        (self.folder / "public" / "a.txt").write_text("from the folder")
        made = json.loads(self.tern("cert", "--json", "--dir", self.folder).stdout)
        server = self.serve("--config", "tern.toml", cwd=self.folder)  # --listen is on the line
        self.assertEqual(server.start["workers"], 2)
        fetched = self.tern("get", HTTP3, "-i", "--stats", "--cacert", made["ca"], *self.reach(server),
                            f"https://localhost:{server.port}/a.txt")
        self.assertTrue(fetched.stdout.endswith("from the folder"), fetched.stderr)
        self.assertIn("cache-control: max-age=3600", fetched.stdout)
        self.assertIn("address proved by Retry", fetched.stderr)


class LogTest(TernTest):
    def test_qlog_and_key_log(self):
        qlog = self.folder / "qlog"
        keys = self.folder / "keys"
        env = {"QLOGDIR": str(qlog), "SSLKEYLOGFILE": str(keys)}
        server = self.serve(env=env)
        self.assert_done(self.get(server, "/hello", env=env))
        server.stop()
        names = sorted(file.name.rsplit("_", 1)[1] for file in qlog.iterdir())
        self.assertEqual(names, ["client.sqlog", "server.sqlog"])
        for file in qlog.iterdir():
            records = [json.loads(r) for r in file.read_text().split("\x1e") if r.strip()]
            self.assertGreater(len(records), 5)
        lines = keys.read_text().splitlines()
        self.assertEqual(keys.stat().st_mode & 0o777, 0o600)
        labels = {line.split()[0] for line in lines}
        self.assertIn("CLIENT_TRAFFIC_SECRET_0", labels)
        self.assertIn("SERVER_HANDSHAKE_TRAFFIC_SECRET", labels)

    def test_qlog_flag_and_key_log_of_every_verb(self):
        keys = {verb: self.folder / f"keys-{verb}" for verb in ("serve", "get", "bench")}
        qlogs = {verb: self.folder / f"qlog-{verb}" for verb in keys}
        env = {verb: {"SSLKEYLOGFILE": str(file)} for verb, file in keys.items()}
        server = self.serve("--qlog", str(qlogs["serve"]), env=env["serve"])
        self.assert_done(self.get(server, "/hello", "--qlog", qlogs["get"], env=env["get"]))
        load = self.tern("bench", "-n", "5", "-c", "2", "-m", "1", "--cacert", self.ca, "--qlog",
                         qlogs["bench"], f"https://localhost:{server.port}/hello",
                         env=env["bench"])
        self.assertEqual(load.returncode, 0, load.stderr)
        server.stop()
        for verb in keys:
            with self.subTest(verb=verb):
                side = "server" if verb == "serve" else "client"
                files = list(qlogs[verb].iterdir())
                self.assertTrue(files)
                for file in files:
                    self.assertTrue(file.name.endswith(f"_{side}.sqlog"), file)
                    names = {json.loads(r).get("name") for r in file.read_text().split("\x1e")
                             if r.strip()}
                    self.assertIn("transport:packet_sent", names | {n.replace("quic:", "transport:")
                                                                    for n in names if n})
                self.assertIn("CLIENT_TRAFFIC_SECRET_0", keys[verb].read_text())

    def test_qlog_in_the_form_of_the_drafts(self):
        env = {"QLOGDIR": str(self.folder / "qlog"), "QLOGFORMAT": "drafts"}
        server = self.serve(env=env)
        self.assert_done(self.get(server, "/bytes/100000", "--migrate-at", "10KB", env=env))
        server.stop()
        for file in (self.folder / "qlog").iterdir():
            head, *events = [json.loads(r) for r in file.read_text().split("\x1e") if r.strip()]
            self.assertEqual(head["file_schema"], "urn:ietf:params:qlog:file:sequential")
            self.assertEqual(head["trace"]["vantage_point"],
                             {"name": "tern", "type": file.name.rsplit("_", 1)[1].removesuffix(".sqlog")})
            self.assertEqual({event["name"].split(":")[0] for event in events}, {"quic", "http3"})
            frames = [frame for event in events for frame in event["data"].get("frames", ())]
            self.assertTrue(any("raw" in frame for frame in frames if frame["frame_type"] == "stream"))
            for frame in frames:
                self.assertFalse({"length", "raw_error_code"} & set(frame), frame)
        wrong = self.tern("get", "-k", server.url + "/hello", env={**env, "QLOGFORMAT": "qvis"})
        self.assertEqual((wrong.returncode, wrong.stderr.count("\n")), (2, 1), wrong.stderr)
        self.assertIn("QLOGFORMAT 'qvis'", wrong.stderr)

    def test_text_log_and_hostile_paths(self):
        process = subprocess.Popen([TERN, "serve", "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, text=True, env=environment(self.home))
        lines = []
        ready = threading.Event()

        def read():
            for line in process.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    ready.set()

        reader = threading.Thread(target=read)
        reader.start()
        self.assertTrue(ready.wait(PATIENCE))
        url = next(line.split()[1] for line in lines if line.split()[:1] == ["URL"])
        # As it stands, from anywhere: no shell finds this `tern` by its name.
        to_try = next(line.split()[1:] for line in lines if line.split()[:1] == ["try"])
        shown = subprocess.run(to_try, capture_output=True, text=True, timeout=PATIENCE, cwd="/",
                               env=environment(self.home))
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertRegex(shown.stdout, "^hello over h[23]\n$")  # HTTP/2 where TCP was there first
        port = url.rstrip("/").rsplit(":", 1)[1]
        self.tern("get", HTTP3, "--cacert", self.ca, "--resolve", f"localhost:{port}:127.0.0.1",
                  f"{url}hello?token=secret&x=%0a%1b[31m")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=PATIENCE), 0)
        reader.join()
        process.stdout.close()
        entry = next(line for line in lines if " GET " in line)
        self.assertIn(" h3 GET ", entry)
        self.assertIn(" 200 14 ", entry)
        self.assertNotIn("secret", entry)
        self.assertNotIn("\x1b", "".join(lines))
