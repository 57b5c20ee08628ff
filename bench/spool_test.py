"""bench/spool: what it makes of figures. No time decides anything."""

import os
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import spool_plot
import spool_report


def row(way, what, p99, elsewhere=0.0, mode="free", items=1000):
    figures = {name: 100.0 for name in ("foreground_per_s", "p50_us", "p999_us", "bytes_per_s", "frames_per_s", "wakes_per_s",
                                        "drains_per_s", "writes_per_s", "ticks_per_s", "system_calls_per_s")}
    return {"part": "beside", "round": 1, "mode": mode, "way": way, "what": what, **figures, "p99_us": p99,
            "scan_items_per_s": items, "stream_items_per_s": 0, "server_cores": 0.5, "readers_cores": 0.1, "burnt_cores": 0.0,
            "elsewhere_cores": elsewhere}


def measured(idle, load, burner, mode="free"):
    return [row("product", "idle", idle, mode=mode), row("product", "load", load, mode=mode), row("product", "burner", burner, mode=mode)]


class Report(unittest.TestCase):
    def test_with_processors_left_idle_is_the_measure(self):
        self.assertIn("| 1.25 | 2.50 | 100 | met |", spool_report.report(measured(100, 125, 50), 0.1))
        self.assertIn("| 1.50 | 0.50 | 100 | **missed** |", spool_report.report(measured(100, 150, 300), 0.1))

    def test_without_the_other_process_is(self):
        self.assertIn("| 2.00 | 0.80 | 100 | met |", spool_report.report(measured(100, 200, 250, "full"), 0.1))
        self.assertIn("| 2.00 | 2.00 | 100 | **missed** |", spool_report.report(measured(100, 200, 100, "full"), 0.1))

    def test_disturbed_rounds_are_left_out(self):
        rows = measured(100, 125, 125) + [row("product", "load", 9000, elsewhere=1.0)] * 3
        self.assertIn("| 1.25 | 1.00 | 100 | met | 1 of 4 |", spool_report.report(rows, 0.1))


class Plot(unittest.TestCase):
    def test_it_is_a_picture_with_a_point_for_each_way(self):
        rows = measured(100, 125, 125) + [row("other", "idle", 100), row("hop", "load", 900, items=10)]
        picture = xml.etree.ElementTree.fromstring(spool_plot.plot(rows, 0.1))
        self.assertEqual(len(picture.findall("{http://www.w3.org/2000/svg}circle")), 2)

    def test_nothing_is_a_picture_too(self):
        xml.etree.ElementTree.fromstring(spool_plot.plot([], 0.1))


if __name__ == "__main__":
    unittest.main()
