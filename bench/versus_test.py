"""bench/versus: what it makes of figures, and that it still fits the programs it runs. No time decides anything."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import versus_plot
import versus_report
import versus_scenarios

BINARY = os.environ.get("BOBBIN_BINARY", "build/release/bobbin")


def load_result(requests_per_s, p99=500.0):
    return {"requests_per_s": requests_per_s, "p50": 100.0, "p99": p99, "server_busy": 0.99}


def raw_of(name, figures, failures=()):
    """What --json writes; `figures` is a list of rounds, each {contestant: result}."""
    rounds = [
        {"round": number, "contestant": contestant, "result": result}
        for number, one_round in enumerate(figures, 1)
        for contestant, result in one_round.items()
    ]
    machine = {"cpu": "cpu", "cores": 2, "kernel": "6", "versions": {}, "load_average_before": 0.0}
    return {
        "settings": {"rounds": len(figures), "seconds": 3, "warmup": 1},
        "machine": machine,
        "scenarios": {name: {"rounds": rounds, "failures": list(failures)}},
    }


class Report(unittest.TestCase):
    def test_it_compares_medians_and_says_which_marks_are_met(self):
        figures = [
            {"bobbin": load_result(rate, 300), "memcached": load_result(1000, 500), "ceiling": load_result(1250)}
            for rate in (900, 1100, 5000)
        ]
        tables = versus_report.report(raw_of("gets-50x1", figures))
        self.assertIn("≥ 1.05 × memcached: 1.10 met", tables)
        self.assertIn("≥ 0.93 × ceiling: 0.88 **missed**", tables)
        self.assertIn("p99 ≤ 0.75 × memcached: 0.60 met", tables)

    def test_a_mark_whose_other_side_was_not_measured_is_left_out(self):
        tables = versus_report.report(raw_of("gets-50x1", [{"bobbin": load_result(1000)}]))
        self.assertIn("1.0 k/s", tables)
        self.assertNotIn("met", tables)
        self.assertNotIn("missed", tables)

    def test_what_keeps_data_has_a_table_of_its_own(self):
        figures = [{"bobbin-durable": load_result(13_000), "redis-always": load_result(6_500)}]
        tables = versus_report.report(raw_of("durable-sets-50x1", figures))
        self.assertIn("bobbin-durable 13.0 k/s, redis-always 6.5 k/s", tables)
        self.assertIn("≥ 1 × redis-always: 2.00 met", tables)
        self.assertNotIn("2 over 1", tables)

    def test_failures_are_told(self):
        tables = versus_report.report(raw_of("gets-50x1", [], ["redis: has ended"]))
        self.assertIn("gets-50x1: redis: has ended", tables)

    def test_every_scenario_has_a_name_of_its_own_and_marks_that_can_be_judged(self):
        names = [scenario.name for scenario in versus_scenarios.SCENARIOS]
        self.assertEqual(len(names), len(set(names)))
        for scenario in versus_scenarios.SCENARIOS:
            contestants = {contestant.name for contestant in scenario.contestants}
            self.assertIn(scenario.metric, versus_scenarios.METRICS)
            for mark in scenario.marks:
                self.assertIn(mark.metric, versus_scenarios.METRICS)
                self.assertIn(mark.of, contestants)
                self.assertTrue(mark.against is None or mark.against in contestants)


class Refusal(unittest.TestCase):
    def test_figures_with_errors_or_misses_are_refused(self):
        gets, sets = (
            next(s for s in versus_scenarios.SCENARIOS if s.name == name) for name in ("gets-50x1", "sets-50x1")
        )
        good = {"errors": 0, "misses": 0, "requests": 10}
        self.assertIsNone(versus_scenarios.refusal(gets, good))
        self.assertEqual(versus_scenarios.refusal(gets, good | {"misses": 2}), "2 misses")
        self.assertIsNone(versus_scenarios.refusal(sets, good | {"misses": 2}))
        self.assertEqual(versus_scenarios.refusal(sets, good | {"errors": 1}), "1 errors")
        self.assertEqual(versus_scenarios.refusal(gets, good | {"requests": 0}), "no request was answered")


class Picture(unittest.TestCase):
    def test_bars_begin_at_zero_and_are_as_long_as_the_figures_say(self):
        raw = raw_of("gets-500x1", [{"bobbin": load_result(3000), "memcached": load_result(1000)}])
        tree = xml.etree.ElementTree.fromstring(versus_plot.plot(raw))
        bars = {bar.get("class"): bar for bar in tree.iter("{http://www.w3.org/2000/svg}rect")}
        self.assertEqual(set(bars), {"bobbin", "memcached"})
        self.assertEqual(bars["bobbin"].get("x"), bars["memcached"].get("x"))
        ratio = float(bars["bobbin"].get("width")) / float(bars["memcached"].get("width"))
        self.assertAlmostEqual(ratio, 3, places=2)


class Run(unittest.TestCase):
    def test_a_short_run_writes_every_round_and_all_outputs(self):
        if subprocess.run([BINARY, "bench", "--help"], capture_output=True, check=False).returncode != 0:
            self.skipTest("this bobbin has no load generator")
        cores = sorted(os.sched_getaffinity(0))
        with tempfile.TemporaryDirectory() as folder:
            paths = {kind: os.path.join(folder, kind) for kind in ("json", "markdown", "plot")}
            command = [sys.executable, os.path.join(HERE, "versus"), "--build", os.path.dirname(BINARY)]
            command += ["--servers", "bobbin,ceiling", "--only", "gets-50x1,start", "--rounds", "1"]
            command += ["--seconds", "0.2", "--warmup", "0.05"]
            command += ["--server-core", str(cores[0]), "--generator-core", str(cores[-1])]
            for kind, path in paths.items():
                command += [f"--{kind}", path]
            done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(paths["json"], encoding="utf-8") as file:
                raw = json.load(file)
            with open(paths["markdown"], encoding="utf-8") as file:
                self.assertIn("gets, 50 connections, 1 in flight", file.read())
            xml.etree.ElementTree.parse(paths["plot"])
        rounds = raw["scenarios"]["gets-50x1"]["rounds"]
        self.assertEqual({entry["contestant"] for entry in rounds}, {"bobbin", "ceiling"})
        for entry in rounds:
            self.assertGreater(entry["result"]["requests_per_s"], 0)
            self.assertEqual(entry["result"]["errors"], 0)
        self.assertEqual(len(raw["scenarios"]["start"]["rounds"]), 11)


if __name__ == "__main__":
    unittest.main()
