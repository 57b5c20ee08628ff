"""What the server must have after a crash: for each key the states it was in, in order, with what is known of each."""

import math
import time
import zlib
from collections import namedtuple

# `expiry` is a moment of time.time(), or 0. A value of None is no document.
State = namedtuple("State", "value flags expiry")
ABSENT = State(None, 0, 0)
# The server counts whole seconds, and a request takes a while.
CLOCK_SLACK_S = 2.2

# A state of a key: from the operation with the number `start` on. `acked` is the time of the reply, infinite
# without one; `cas` is None where no reply told it.
Entry = namedtuple("Entry", "state start acked cas")


class Violation(Exception):
    """The server broke a promise."""


def vbucket_of(name):
    return (zlib.crc32(name) >> 16) & 0x7FFF & 1023


def may_be_expired(state):
    return state.expiry != 0 and time.time() > state.expiry - CLOCK_SLACK_S


def must_be_expired(state):
    return state.expiry != 0 and time.time() > state.expiry + CLOCK_SLACK_S


def same(state, seen):
    """Whether what was seen (a State, its expiry from a rounded ttl) can be `state` now."""
    if seen.value is None:
        return state.value is None or may_be_expired(state)
    if seen.value != state.value or seen.flags != state.flags or must_be_expired(state):
        return False
    if state.expiry == 0 or seen.expiry == 0:
        return state.expiry == seen.expiry
    return abs(state.expiry - seen.expiry) <= CLOCK_SLACK_S


class Operation:
    """One request for one key (or for all: flush_all, whose key is None)."""

    __slots__ = ("kind", "key", "request", "start", "argument", "allowed_from", "dialect")

    def __init__(self, kind, key, request, argument=None, dialect="text"):
        self.kind, self.key, self.request, self.argument, self.dialect = kind, key, request, argument, dialect
        self.start = 0
        self.allowed_from = 0

    def changes(self):
        return self.kind != "get"

    def apply(self, state, is_cas_right):
        """The next state and the outcome that says so, from a state that has not expired."""
        there = state.value is not None
        kind, argument = self.kind, self.argument
        if kind == "flush":
            return ABSENT, "done"
        if kind == "delete":
            return (ABSENT, "done") if there else (state, "not_found")
        if kind == "set" or (kind == "add" and not there) or (kind == "replace" and there):
            return argument, "done"
        if kind in ("add", "replace"):
            return state, "not_stored"
        if kind == "cas":
            if not there:
                return state, "not_found"
            return (argument[0], "done") if is_cas_right else (state, "exists")
        if kind in ("append", "prepend"):
            if not there:
                return state, "not_stored"
            longer = state.value + argument if kind == "append" else argument + state.value
            return state._replace(value=longer), "done"
        if not there:
            return state, "not_found"
        if kind == "touch":
            return state._replace(expiry=argument), "done"
        number = int(state.value) + argument if kind == "incr" else max(0, int(state.value) - argument)
        # As memcached does it: a number that became shorter keeps its length, filled up with spaces.
        return state._replace(value=(b"%d" % number).ljust(len(state.value))), "done"


class Key:
    """The history of one key since the last moment when its state on disk was known."""

    def __init__(self, name, kind):
        self.name = name
        self.kind = kind
        self.vbucket = vbucket_of(name)
        self.history = [Entry(ABSENT, 0, 0.0, None)]
        self.pending = []  # operations without a reply
        self.highest_cas = 0  # of a state that was acknowledged
        self.seen_cas = 0  # of any state that somebody has read
        self.floor_cas = 0  # of the vbucket, when the server was last started
        self.versions = 0
        self.candidates = None  # after a crash, until it was looked at

    @property
    def now(self):
        return self.history[-1]

    def note_cas(self, cas, is_new):
        """A reply told the CAS of the newest state."""
        if is_new or self.now.cas is None:
            lowest = max(self.highest_cas, self.floor_cas)
            if cas <= lowest:
                raise Violation(f"{self.name}: CAS {cas} of a new document is not above {lowest}, given out before")
        elif cas != self.now.cas:
            raise Violation(f"{self.name}: CAS {cas} of an unchanged document was {self.now.cas}")
        self.highest_cas = cas
        self.history[-1] = self.now._replace(cas=cas)

    def changed(self, state, operation, keeps_cas):
        cas = self.now.cas if keeps_cas else None
        if not keeps_cas:
            self.versions += 1
        self.history.append(Entry(state, operation.start, time.monotonic(), cas))

    def crash(self, known_until):
        """Sets the candidates: all from the last state that was acknowledged before known_until."""
        first = 0
        for position, entry in enumerate(self.history):
            if entry.acked <= known_until:
                first = position
        found = list(self.history[first:])
        possible = [self.now.state]
        for operation in self.pending:
            # Any of these may have been done, or refused.
            for state in list(possible):
                after = {operation.apply(state, right)[0] for right in (True, False)}
                if state.expiry != 0:
                    after |= {operation.apply(ABSENT, right)[0] for right in (True, False)}
                for new in after:
                    found.append(Entry(new, operation.start, math.inf, None))
                    if new not in possible:
                        possible.append(new)
        self.pending = []
        self.candidates = found

    def observe(self, seen, cas):
        """The first look after a crash. Returns (spans of operations that fit, moment of the oldest lost write)."""
        fits = []
        spans = []
        for position, entry in enumerate(self.candidates):
            if not same(entry.state, seen):
                continue
            if cas is not None and entry.cas is not None and entry.cas != cas:
                continue
            fits.append(position)
            end = math.inf
            if position + 1 < len(self.candidates) and self.candidates[position + 1].acked != math.inf:
                end = self.candidates[position + 1].start
            spans.append((entry.start, end))
        if not fits:
            raise Violation(self.explain(seen, cas))
        lost = self.candidates[fits[-1] + 1 :]
        oldest_lost = min((entry.acked for entry in lost), default=math.inf)
        self.highest_cas = max(self.highest_cas, self.seen_cas, cas or 0)
        # With the expiry that was seen: several may fit that differ in nothing else.
        self.history = [Entry(seen, 0, 0.0, cas)]
        self.versions += 1
        self.candidates = None
        return spans, oldest_lost

    def explain(self, seen, cas):
        text = [f"{self.name.decode()} (vbucket {self.vbucket}): found {brief(seen)} cas={cas}; could be one of:"]
        for entry in self.candidates[-20:]:
            text.append(f"    {brief(entry.state)} cas={entry.cas} start={entry.start} acked={entry.acked:.4f}")
        return "\n".join(text)


def brief(state):
    if state.value is None:
        return "nothing"
    return f"{state.value[:60]!r}[{len(state.value)}] flags={state.flags} expiry={state.expiry:.1f}"


def check_order(vbucket, spans_of_keys):
    """There is a moment at which every key of the vbucket had the state that was found: the changes that are on
    disk are the first ones in the order of their seqnos."""
    moments = [start for spans in spans_of_keys.values() for start, _ in spans]
    for moment in moments:
        if all(any(start <= moment < end for start, end in spans) for spans in spans_of_keys.values()):
            return
    raise Violation(f"vbucket {vbucket}: no moment had all of these at once: {spans_of_keys}")
