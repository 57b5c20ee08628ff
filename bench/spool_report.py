"""The tables of bench/spool."""

from statistics import median

WAYS = {  # as stream_load names them: what people are told
    "product": "4 scans and 8 change streams, spool",
    "scans": "4 scans, spool",
    "batch:post": "4 scans, a posted closure for 32 KiB",
    "batch:hop": "4 scans, a blocking hop for 32 KiB",
    "batch:mutex": "4 scans, a write under a mutex for 32 KiB",
    "spool": "4 scans, spool, each item appended",
    "post": "4 scans, a posted closure for each item",
    "hop": "4 scans, a blocking hop for each item",
    "mutex": "4 scans, a write under a mutex for each item",
}
MODES = {
    "free": "gets and readers at a fixed rate, processors left",
    "greedy": "gets at a fixed rate, readers as fast as they can",
    "full": "gets and readers as fast as they can",
}
PRODUCT = ("product", "scans")  # what the marks are of
MARK = 1.3


class Row:
    """The medians of one measurement: over quiet rounds, or where there are none over the quietest."""

    def __init__(self, rows, quiet_below):
        quiet = [row for row in rows if row["elsewhere_cores"] <= quiet_below]
        self.rounds = len(quiet)
        self.all_rounds = len(rows)
        if not quiet:
            quiet = sorted(rows, key=lambda row: row["elsewhere_cores"])[:1]
        self.elsewhere = median(row["elsewhere_cores"] for row in quiet)
        self._rows = quiet

    def __getitem__(self, name):
        return median(row[name] for row in self._rows)


def beside(rows, quiet_below):
    """{(mode, way, what): Row}"""
    groups = {}
    for row in rows:
        if row["part"] == "beside":
            # Of both listeners: with nothing beside them, they do the same.
            way = "either" if row["what"] == "idle" else row["way"]
            groups.setdefault((row["mode"], way, row["what"]), []).append(row)
    return {key: Row(group, quiet_below) for key, group in groups.items()}


def idle_of(table, mode, way):
    return table.get((mode, "either", "idle"))


def thousands(value):
    return f"{value:,.0f}"


def table_of(head, lines):
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def latencies(table, mode):
    lines = []
    for way, words in WAYS.items():
        idle, load, burner = (idle_of(table, mode, way), table.get((mode, way, "load")), table.get((mode, way, "burner")))
        if not (idle and load and burner):
            continue
        if load["foreground_per_s"] == 0:
            lines.append([words, *["none answered" if row is load else thousands(row["p99_us"]) for row in (idle, load, burner)], "", "", "", "0", "", ""])
            continue
        over_idle, over_burner = load["p99_us"] / idle["p99_us"], load["p99_us"] / burner["p99_us"]
        verdict = ""
        if way in PRODUCT:
            is_met = over_idle <= MARK if mode == "free" else over_burner <= 1
            verdict = "met" if is_met else "**missed**"
        spread = lambda row: " / ".join(thousands(row[name]) for name in ("p50_us", "p99_us", "p999_us"))
        cores = load["server_cores"] + load["readers_cores"] - idle["server_cores"] * load["foreground_per_s"] / max(idle["foreground_per_s"], 1)
        lines.append([words, spread(idle), spread(load), spread(burner), f"{cores:.2f}", f"{over_idle:.2f}", f"{over_burner:.2f}",
                      thousands(load["foreground_per_s"]), verdict, f"{min(idle.rounds, load.rounds, burner.rounds)} of {load.all_rounds}"])
    head = ["beside the gets", "idle, µs", "load, µs", "other process, µs", "cores used", "p99 over idle", "p99 over other process",
            "gets/s", "mark", "quiet rounds"]
    return table_of(head, lines) if lines else ""


def rates(table, mode):
    lines = []
    for way, words in WAYS.items():
        load, idle = table.get((mode, way, "load")), idle_of(table, mode, way)
        if not (load and idle):
            continue
        items = load["scan_items_per_s"] + load["stream_items_per_s"]
        share = load["foreground_per_s"] / max(idle["foreground_per_s"], 1)
        calls = max(0, load["system_calls_per_s"] - idle["system_calls_per_s"] * share)
        writes = max(0, load["writes_per_s"] - load["foreground_per_s"]) if way not in ("mutex", "batch:mutex") else load["frames_per_s"]
        per_thousand = lambda value: f"{1000 * value / items:.2f}" if items else "-"
        ticks = load["ticks_per_s"]
        lines.append([words, thousands(items), f"{load['bytes_per_s'] / 1e6:,.1f}", f"{load['wakes_per_s'] / ticks:.3f}" if ticks else "-",
                      per_thousand(load["wakes_per_s"]), per_thousand(writes), per_thousand(calls)])
    head = ["beside the gets", "items/s", "MB/s", "wakes a tick", "wakes per 1,000 items", "writes per 1,000 items", "all system calls per 1,000 items"]
    return table_of(head, lines) if lines else ""


def stalled(rows):
    lines = []
    mib = lambda value: f"{value / (1 << 20):,.1f}"
    for row in rows:
        if row["part"] != "stalled":
            continue
        before, during, after = row["before"], row["during"], row["after"]
        name = {"product": "scans and streams, spool", "spool": "each item, spool"}.get(row["way"], f"each item, {row['way']}")
        lines.append([f"{name}: {row['readers']:,}", mib(during["unsent_bytes"]), mib(during["allocated_bytes"] - before["allocated_bytes"]),
                      mib(during["resident_bytes"] - before["resident_bytes"]), str(during["threads"] - before["threads"]),
                      mib(after["unsent_bytes"]), mib(after["allocated_bytes"] - before["allocated_bytes"]),
                      mib(after["resident_bytes"] - before["resident_bytes"]),
                      f"{row['p99_us_without']:,.0f} / {row['p99_us']:,.0f}", f"{row['server_cores'] - row['server_cores_without']:.2f}"])
    head = ["stalled readers", "unsent, MiB", "allocated", "resident", "threads", "after: unsent", "allocated", "resident", "p99 of gets, µs: before / beside", "cores"]
    return table_of(head, lines) if lines else ""


def report(rows, quiet_below):
    table = beside(rows, quiet_below)
    parts = []
    for mode, words in MODES.items():
        latency = latencies(table, mode)
        if latency:
            parts += [f"### Gets beside the load: {words}\n", latency, f"### What is sent: {words}\n", rates(table, mode)]
    memory = stalled(rows)
    if memory:
        parts += ["### Readers that stop reading\n", memory]
    return "\n".join(parts)
