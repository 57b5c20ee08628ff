"""How far a follower is behind its source while that is written to.

    script/lib/build release bobbin && python3 bench/follow.py [--rate 100000] [--seconds 10] [--value-bytes 100]

A marker is written to the source every few milliseconds, and read from the follower until it is there: that is
the lag, with two round trips in it. Prints its percentiles, and what the follower says of itself.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

BINARY = os.environ.get("BOBBIN_BINARY", "build/release/bobbin")


class Server:
    def __init__(self, folder, name, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        command = [BINARY, "serve", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--data", os.path.join(folder, name), "--memory", "512M", "--log-level", "warning", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client = socket.create_connection(("127.0.0.1", self.port), 20)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request, end):
        self.client.sendall(request)
        reply = b""
        while not reply.endswith(end):
            more = self.client.recv(65536)
            if not more:
                raise SystemExit(f"{self.address} has closed")
            reply += more
        return reply

    def follow_stats(self):
        lines = self.ask(b"stats follow\r\n", b"END\r\n").decode().splitlines()
        return dict((line.split(" ", 2) + [""])[1:3] for line in lines if line.startswith("STAT "))


def measure(source, follower, seconds):
    """Milliseconds, one for each marker."""
    lags = []
    told = []
    number = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        text = b"%d" % number
        source.ask(b"set lag-marker 0 0 %d\r\n%s\r\n" % (len(text), text), b"\r\n")
        began = time.monotonic()
        while b"\r\n%s\r\n" % text not in follower.ask(b"get lag-marker\r\n", b"END\r\n"):
            if time.monotonic() - began > 60:
                raise SystemExit(f"nothing comes: {follower.follow_stats()}")
        lags.append((time.monotonic() - began) * 1000)
        if number % 10 == 0:
            told.append(int(follower.follow_stats()["follow_lag_ms"]))
        time.sleep(0.005)
    return lags, told


def percentiles(numbers):
    numbers = sorted(numbers)
    return ", ".join(
        f"{name} {numbers[min(len(numbers) - 1, int(len(numbers) * part))]:.1f}"
        for name, part in (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("most", 1.0))
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bobbin-bench-follow-") as folder:
        threads = ("--threads", str(arguments.threads))
        source = Server(folder, "source", *threads)
        follower = Server(folder, "follower", "--follow", source.address, *threads)
        load = subprocess.Popen(
            [BINARY, "bench", "--server", source.address, "--json", "--quiet", "--ratio", "1:0", "--connections", "8",
             "--in-flight", "16", "--rate", str(arguments.rate), "--value-size", str(arguments.value_bytes),
             "--keys", "100000", "--duration", f"{arguments.seconds + 2}s"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(3)  # the keys are stored, and it warms up
        lags, told = measure(source, follower, arguments.seconds - 1)
        out, _ = load.communicate()
        result = json.loads(out)
        print(f"written: {result['requests_per_s']:.0f} a second, wanted {arguments.rate}")
        print(f"lag of {len(lags)} markers, ms: {percentiles(lags)}")
        print(f"as the follower says, ms: {percentiles(told)}")
        print({name: value for name, value in follower.follow_stats().items() if "lag" in name or "waits" in name})
        for server in (follower, source):
            server.process.terminate()
            server.process.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
