"""Tables of bench/versus, made from the raw rounds alone: medians, ratios of medians, marks."""

import statistics

from versus_scenarios import METRICS, SCENARIOS

COLUMNS = ("bobbin", "memcached", "redis", "ceiling")


class Medians:
    """The medians of one scenario, by contestant and metric."""

    def __init__(self, scenario, rounds):
        self.scenario = scenario
        self._results = {}
        for entry in rounds:
            self._results.setdefault(entry["contestant"], []).append(entry["result"])

    def of(self, contestant, metric=None):
        values = [result[metric or self.scenario.metric] for result in self._results.get(contestant, ())]
        return statistics.median(values) if values else None

    def ratio(self, one, other, metric=None):
        values = self.of(one, metric), self.of(other, metric)
        return None if None in values or values[1] == 0 else values[0] / values[1]

    def spread(self, contestant):
        """Largest over smallest round: how much the machine moved meanwhile."""
        values = [result[self.scenario.metric] for result in self._results.get(contestant, ())]
        return max(values) / min(values) if values and min(values) > 0 else None


def medians_of(raw):
    """In the order of the scenario table; what was not measured is left out."""
    found = []
    for scenario in SCENARIOS:
        measured = raw["scenarios"].get(scenario.name)
        if measured and measured["rounds"]:
            found.append(Medians(scenario, measured["rounds"]))
    return found


def judge(mark, medians):
    """(text of the mark, what was measured, met or not); None if it could not be measured."""
    unit, _ = METRICS[mark.metric]
    name = "" if mark.metric == medians.scenario.metric else mark.metric + " "
    if mark.against:
        value = medians.ratio(mark.of, mark.against, mark.metric)
        suffix = f" × {mark.against}"
    else:
        value = medians.of(mark.of, mark.metric)
        suffix = f" {unit}"
    if value is None:
        return None
    if mark.at_least is not None:
        text, met = f"{name}≥ {mark.at_least:g}{suffix}", value >= mark.at_least
    else:
        text, met = f"{name}≤ {mark.at_most:g}{suffix}", value <= mark.at_most
    return text, f"{value:,.0f}" if value >= 100 else f"{value:.2f}", met


def amount(value, metric):
    if value is None:
        return "-"
    if metric == "bytes_in_per_s":
        return f"{value / 1e9:.2f} GB/s"
    if metric in ("requests_per_s", "keys_per_s"):
        return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
    if metric == "items_per_s":
        return f"{value / 1e6:.2f} M/s"
    if metric == "start_ms":
        return f"{value:.1f} ms"
    if metric == "ratio":
        return f"{value:.2f}"
    return f"{value:,.0f}"


def _ratio_text(value):
    return "-" if value is None else f"{value:.2f}"


def _marks_text(medians):
    judged = [judge(mark, medians) for mark in medians.scenario.marks]
    return "; ".join(f"{text}: {value} {'met' if met else '**missed**'}" for text, value, met in filter(None, judged))


def markdown_table(rows, align_right):
    """Rows of equal length, the first is the head; columns padded, so that it reads as it is too."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row):
        cells = (text.rjust(w) if right else text.ljust(w) for text, w, right in zip(row, widths, align_right))
        return "| " + " | ".join(cells) + " |"

    rule = "| " + " | ".join("-" * (w - 1) + ":" if right else "-" * w for w, right in zip(widths, align_right)) + " |"
    return "\n".join([line(rows[0]), rule, *(line(row) for row in rows[1:])]) + "\n"


def _rates(all_medians):
    rows = [("rate", *COLUMNS, "× memcached", "× redis", "× ceiling", "marks")]
    for medians in all_medians:
        scenario = medians.scenario
        ratios = (_ratio_text(medians.ratio("bobbin", other)) for other in ("memcached", "redis", "ceiling"))
        amounts = (amount(medians.of(name), scenario.metric) for name in COLUMNS)
        rows.append((scenario.title, *amounts, *ratios, _marks_text(medians)))
    return rows


def _latencies(all_medians):
    """And how busy the server was: where it had time to spare, the generator was what limited the rate."""
    rows = [("p50 / p99, µs (server busy)", *COLUMNS, "p99 × memcached")]
    for medians in all_medians:
        cells = []
        for name in COLUMNS:
            p50, p99, busy = (medians.of(name, metric) for metric in ("p50", "p99", "server_busy"))
            cells.append("-" if p50 is None else f"{p50:,.0f} / {p99:,.0f} ({busy * 100:.0f} %)")
        rows.append((medians.scenario.title, *cells, _ratio_text(medians.ratio("bobbin", "memcached", "p99"))))
    return rows


def _threads(all_medians):
    rows = [("cores shared with the generator", "server", "1 thread", "2 threads", "2 over 1", "marks")]
    for medians in all_medians:
        for kind in ("bobbin", "memcached"):
            one, two = f"{kind}-1", f"{kind}-2"
            amounts = (amount(medians.of(name), medians.scenario.metric) for name in (one, two))
            marks = _marks_text(medians) if kind == "bobbin" else ""
            rows.append((medians.scenario.title, kind, *amounts, _ratio_text(medians.ratio(two, one)), marks))
    return rows


def _costs(all_medians):
    rows = [("cost", "unit", *COLUMNS[:3], "× memcached", "marks")]
    for medians in all_medians:
        scenario = medians.scenario
        amounts = (amount(medians.of(name), scenario.metric) for name in COLUMNS[:3])
        ratio = _ratio_text(medians.ratio("bobbin", "memcached"))
        unit, _ = METRICS[scenario.metric]
        rows.append((scenario.title, unit, *amounts, ratio, _marks_text(medians)))
    return rows


def _kept(all_medians):
    rows = [("kept on disk", "measured", "marks")]
    for medians in all_medians:
        amounts = [
            f"{contestant.name} {amount(medians.of(contestant.name), medians.scenario.metric)}"
            for contestant in medians.scenario.contestants
            if medians.of(contestant.name) is not None
        ]
        rows.append((medians.scenario.title, ", ".join(amounts), _marks_text(medians)))
    return rows


def report(raw):
    """All tables, in Markdown."""
    kept = [m for m in medians_of(raw) if m.scenario.keeps_data]
    every = [m for m in medians_of(raw) if not m.scenario.keeps_data]
    costs = [m for m in every if m.scenario.special]
    threads = [m for m in every if not m.scenario.special and not m.scenario.pinned]
    rates = [m for m in every if not m.scenario.special and m.scenario.pinned]
    parts = [_conditions(raw)]
    if rates:
        parts.append(markdown_table(_rates(rates), (False, *(True,) * 7, False)))
        parts.append(markdown_table(_latencies(rates), (False, *(True,) * 5)))
    if threads:
        parts.append(markdown_table(_threads(threads), (False, False, True, True, True, False)))
    if costs:
        parts.append(markdown_table(_costs(costs), (False, False, *(True,) * 4, False)))
    if kept:
        parts.append(markdown_table(_kept(kept), (False, False, False)))
    failures = [f"* {name}: {why}" for name, s in raw["scenarios"].items() for why in s["failures"]]
    if failures:
        parts.append("Could not be measured:\n\n" + "\n".join(failures) + "\n")
    return "\n".join(parts)


def _conditions(raw):
    """One sentence before the tables: how it was measured, and how quiet the machine was."""
    settings, machine = raw["settings"], raw["machine"]
    spreads = [m.spread(name) for m in medians_of(raw) for name in COLUMNS if not m.scenario.special]
    spreads = [spread for spread in spreads if spread]
    moved = ""
    if spreads and settings["rounds"] > 1:
        moved = f" The rounds of one figure differ by up to {(max(spreads) - 1) * 100:.0f} %."
    versions = ", ".join(machine["versions"].values())
    return (
        f"Medians of {settings['rounds']} interleaved rounds of {settings['seconds']:g} s; one server thread on one "
        f"core, the generator on another.{moved} {machine['cpu']}, {machine['cores']} cores, Linux "
        f"{machine['kernel']}, load average before {machine['load_average_before']:.1f}; {versions}.\n"
    )
