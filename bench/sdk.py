"""What a developer with the official Couchbase SDK sees of a server: how soon it is there, and what it takes when idle.

    script/lib/build release bobbin && script/lib/npm && python3 bench/sdk.py [--rounds 5] [--seconds 10]

Measures, and says of each whether its mark is met: the time from making the process to the SDK's first upsert (fresh
data directory; Node and the SDK are loaded before), resident memory of --dev when idle, processor time with 10
buckets and as many connected clients, and gets over Couchbase's protocol against memcached's binary protocol on
the same server.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.path.abspath(os.environ.get("BOBBIN_BINARY", "build/release/bobbin"))
BUCKETS = 10
GETS_ROUNDS = 25


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def node(*words):
    modules = os.path.join(HERE, "..", "tests", "clients", "node_modules")
    return subprocess.Popen(
        ["node", os.path.join(HERE, "sdk_client.js"), *map(str, words)],
        env={**os.environ, "NODE_PATH": modules}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def line_of(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the SDK's program has failed")
    return json.loads(line)


class Server:
    """With --dev and a new directory, until the end of the `with` block."""

    def __init__(self, *options):
        self._folder = tempfile.TemporaryDirectory(prefix="bobbin-sdk-", dir="/var/tmp")
        self.port, self.http = free_port(), free_port()
        command = [BINARY, "serve", "--dev", "--port", str(self.port), "--http-port", str(self.http)]
        command += ["--data", os.path.join(self._folder.name, "data"), "--log-level", "warning", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 20).close()
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit("the server does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self._folder.cleanup()

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))

    def processor_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_upsert_ms():
    with tempfile.TemporaryDirectory(prefix="bobbin-sdk-", dir="/var/tmp") as folder:
        program = node("first", BINARY, free_port(), os.path.join(folder, "data"))
        milliseconds = line_of(program)["ms"]
        program.communicate(timeout=60)
        return milliseconds


def idle(seconds):
    """Resident MiB alone, the same with clients, and the part of a core that those take."""
    with Server("--memory", "2G") as server:
        time.sleep(2)
        alone = server.resident_mib()
        names = ["default"]
        for number in range(1, BUCKETS):
            names.append(f"bucket{number}")
            form = urllib.parse.urlencode({"name": names[-1], "ramQuotaMB": 100}).encode()
            urllib.request.urlopen(f"http://127.0.0.1:{server.http}/pools/default/buckets", form, timeout=20).close()
        clients = node("idle", f"127.0.0.1:{server.port}", *names)
        line_of(clients)
        time.sleep(2)
        before = server.processor_s()
        time.sleep(seconds)
        share = (server.processor_s() - before) / seconds
        resident = server.resident_mib()
        clients.communicate(timeout=60)
        return alone, resident, share


def gets_per_s(server, protocol, seconds):
    command = ["taskset", "-c", "1", BINARY, "bench", "-p", protocol, "-c", "50", "-i", "16"]
    command += ["-d", f"{seconds}s", "-w", "500ms", "--json", "--quiet"]
    done = subprocess.run([*command, "-s", f"127.0.0.1:{server.port}"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["requests_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="for which idle clients are watched")
    given = parser.parse_args()

    rows = []

    def tell(what, figure, is_met):
        rows.append((what, figure, "met" if is_met else "MISSED"))

    upserts = [first_upsert_ms() for _ in range(given.rounds)]
    spread = f"{min(upserts):.0f} to {max(upserts):.0f}"
    tell("start to the first upsert, ms (under 100)", f"{statistics.median(upserts):.0f} ({spread})",
         statistics.median(upserts) < 100)  # fmt: skip
    alone, resident, share = idle(given.seconds)
    tell("resident memory, idle, MiB (under 40)", f"{alone:.1f}", alone < 40)
    tell(f"processor, {BUCKETS} buckets and clients idle, % of a core (under 1)", f"{100 * share:.2f}", share < 0.01)
    with Server("--threads", "1") as server:
        for thread in os.listdir(f"/proc/{server.process.pid}/task"):
            os.sched_setaffinity(int(thread), {0})
        rates = {"mcbp": [], "binary": []}
        # Short ones and many, by turns: what the machine does meanwhile is then the same for both.
        for turn in range(GETS_ROUNDS):
            for protocol in sorted(rates, reverse=turn % 2 == 1):
                rates[protocol].append(gets_per_s(server, protocol, 1))
    mcbp, binary = (statistics.median(rates[protocol]) for protocol in ("mcbp", "binary"))
    tell("gets by Couchbase's protocol over the binary one (0.95)", f"{mcbp / binary:.2f} ({mcbp:,.0f} and {binary:,.0f}/s)",
         mcbp >= 0.95 * binary)  # fmt: skip
    for what, figure, verdict in rows:
        print(f"{what:70} {figure:>32}  {verdict}")
    print(f"with {BUCKETS} clients it held {resident:.1f} MiB")


if __name__ == "__main__":
    main()
