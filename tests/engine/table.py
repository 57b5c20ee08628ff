"""The scenarios: one table."""

from collections import namedtuple

import commands

# `run` is a generator that yields harness.EVICT and harness.RESTART. Scenarios that need no server of their own
# (`alone` is None) share one; for the others `alone` has its options. `variants` leaves out those that it is not for:
# names, or "persistent".
Scenario = namedtuple("Scenario", "name about run alone variants")


def _row(name, about, run, alone=None, variants=None):
    return Scenario(name, about, run, alone, variants)


SCENARIOS = [
    *(
        _row(f"text-{name}", f"text {name}, also with noreply, on documents in memory and evicted, on unknown keys, first thing after a restart", commands.line_command(row))
        for name, row in commands.TEXT.items()
    ),
    *(
        _row(f"meta-{name}", f"`{row[0].split(chr(10))[0].replace('{K}', 'k')}` on the same kinds of keys", commands.line_command(row))
        for name, row in commands.META.items()
    ),
    *(
        _row(f"binary-{name}", f"binary {name}, also quiet, on the same kinds of keys", commands.binary_command(name))
        for name in commands.BINARY
    ),
]
