"""Several machines, several processes: what keeps a service up while its parts change."""

import os
import subprocess

from tern_program import HTTP3, TernTest


class LoadBalancerTest(TernTest):
    """examples/load_balancer in front of two servers."""

    def balance(self, key, servers):
        process = subprocess.Popen(
            [os.environ["LOAD_BALANCER"], "127.0.0.1:0", key,
             *(f"{id}=127.0.0.1:{server.port}" for id, server in servers.items())],
            stdout=subprocess.PIPE, text=True)

        def stop():
            process.kill()
            process.wait()
            process.stdout.close()
        self.addCleanup(stop)
        return int(process.stdout.readline().rsplit(":", 1)[1])

    def migrate_behind(self, key, *arguments):
        servers = {id: self.serve("--server-id", id, "--workers", "2", *arguments)
                   for id in ("01", "2f")}
        port = self.balance(key, servers)
        clients = 12
        for _ in range(clients):
            out = self.folder / "out"
            fetched = self.tern("get", HTTP3, "--json", "--cacert", self.ca, "-o", out, "--migrate-at",
                                "500KB", "--resolve", f"localhost:{port}:127.0.0.1",
                                f"https://localhost:{port}/bytes/20000000")
            self.assertEqual(fetched.returncode, 0, fetched.stdout + fetched.stderr)
            self.assertIn('"migrations":1', fetched.stdout)
            self.assert_pattern(out, 20_000_000)
        counts = [server.counters() for server in servers.values()]
        accepted = [c["quic.connections_accepted"] for c in counts]
        self.assertEqual(sum(accepted), clients)
        # By a hash of random numbers: one machine gets all 12 once in 2,000 runs. Then the other
        # has seen no migrated client, and nothing is wrong.
        for count in counts:
            self.assertEqual(count["quic.dropped.no_connection"], 0)
            self.assertEqual(count["quic.stateless_resets_sent"], 0)
            self.assertGreaterEqual(count["quic.paths_changed"],
                                    count["quic.connections_accepted"])

    def test_plain_connection_ids(self):
        self.migrate_behind("-")

    def test_encrypted_connection_ids(self):
        key = self.folder / "cid.key"
        key.write_text("8f95f09245765f80256934e50c66207f\n")
        self.migrate_behind(str(key), "--cid-key", str(key))

    def test_keys_cannot_rotate_all_the_time(self):
        failed = self.tern("serve", "--key-rotation", "999ms")
        self.assertEqual(failed.returncode, 2, failed.stderr)
        self.assertIn("at least a second", failed.stderr)

    def test_wrong_ids_and_keys(self):
        key = self.folder / "cid.key"
        key.write_text("nonsense")
        for words in (("--server-id", "x"), ("--server-id", "00" * 13), ("--cid-key", str(key)),
                      ("--cid-key", str(self.folder / "none")), ("--cid-rotation", "7")):
            with self.subTest(words=words):
                failed = self.tern("serve", *words)
                self.assertEqual(failed.returncode, 2, failed.stderr)
                self.assertEqual(failed.stderr.count("\n"), 1, failed.stderr)
