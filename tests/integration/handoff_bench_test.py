"""tools/bench/handoff: what it takes for the stall of a handoff, and a run of each of its scenarios, over
real sockets. Wants the right to make namespaces (root, as in CI); without it the program says NOT RUN
and ends with 77, which CTest shows as skipped."""

import importlib.machinery
import importlib.util
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tern_program import TERN, run_where_possible

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "tools/bench/handoff"


def load():
    loader = importlib.machinery.SourceFileLoader("handoff_bench", str(PROGRAM))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("handoff_bench", loader))
    loader.exec_module(module)
    return module


def reader(*times):
    """Of a body whose pieces came then."""
    class Read:
        def gaps(self):
            return list(zip(times, times[1:]))
    read = Read()
    read.stall = BENCH.Reader.stall.__get__(read)
    return read


BENCH = load()


class Stall(unittest.TestCase):
    def test_what_ended_before_the_move_or_began_after_the_old_path_is_congestions(self):
        self.assertAlmostEqual(reader(0, 5, 10, 10.2, 10.5, 19).stall(10.1, False, 10.3), 0.3)

    def test_a_gap_that_was_open_when_a_living_path_was_left_counts_from_then(self):
        self.assertAlmostEqual(reader(9, 10.4).stall(10, False, 10.3), 0.4)

    def test_and_from_its_beginning_where_the_path_was_dead(self):
        self.assertAlmostEqual(reader(9, 10.4).stall(10, True, 10.3), 1.4)

    def test_a_download_that_ends_with_the_move_is_no_handoff_that_was_kept(self):
        self.assertEqual(reader(9, 9.9).stall(10, False, 10.3), math.inf)


class Runs(unittest.TestCase):
    def test_each_scenario_once(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "runs.json"
            done = subprocess.run([sys.executable, PROGRAM, "--tern", TERN, "--runs", "1",
                                   "--json", file], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            results = json.loads(file.read_text())
        self.assertEqual(set(results), set(BENCH.SCENARIOS))
        for name, (run,) in results.items():
            with self.subTest(name):
                self.assertEqual(run["handshakes"], 1)
                if name != "nat-rebinding":
                    self.assertGreaterEqual(run["migrations"], 1)
                    self.assertLess(run["stall_s"], 10)
                    self.assertGreater(run["allowed_s"], BENCH.LINKS["wwan0"].first_rtt * 0.99)
                self.assertGreaterEqual(run["rebindings"], 1)


if __name__ == "__main__":
    run_where_possible(BENCH.Phone)
