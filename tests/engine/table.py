"""The scenarios: one table."""

from collections import namedtuple

import commands
import copies
import documents
import lifetimes
import limits
import waiting

# `run` is a generator that yields harness.EVICT and harness.RESTART. Scenarios that need no server of their own
# (`alone` is None) share one; for the others `alone` has its options. `variants` leaves out those that it is not for:
# names, or "persistent".
Scenario = namedtuple("Scenario", "name about run alone variants")


# For scenarios that need a server of their own: each way to forget, to evict and to end once.
EACH = ("cache", "value", "full-kill")


def _row(name, about, run, alone=None, variants=None):
    if alone is not None and variants is None:
        variants = EACH
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
    _row("flags", "all 32 bits of flags, evicted, fetched back and restarted", documents.flags),
    _row("flags-binary", "the same, set and read by the binary protocol", documents.binary_flags),
    _row("values", "values of any bytes, empty, small, and sent by reference", documents.values),
    _row("keys", "the longest key, UTF-8, control bytes, and blanks and zeros by way of base64", documents.keys),
    _row("large-values", "values of 1 MiB, evicted, fetched, appended to", documents.large),
    _row("huge-values", "values of 20 MiB of which memory holds one", documents.huge, {"memory": "48M", "max_item_size": "20M"}, ("value", "full-kill")),
    _row("cas-stays", "a CAS is the same after eviction and restart; cas, ms C and binary stores compare with it", documents.cas_stays),
    _row("cas-rises", "each write of a key has a higher CAS, over deletes, evictions and two restarts", documents.cas_rises),
    _row("cas-explicit", "a CAS given by the client (E) is kept", documents.cas_explicit),
    _row("stale", "md I: stale documents stay stale, and who won them may be forgotten, not more", documents.stale),
    _row("vivified", "mg N: the empty document and its time to live", documents.vivified),
    _row("recached", "mg R on evicted documents and after a restart", documents.recached),
    _row("metadata-only", "mg without v, touch, me and delete do not read an evicted value", documents.metadata_needs_no_value),
    _row("delete-then-set", "deleted, evicted and set again in every order", lifetimes.delete_then_set),
    _row("evict-then-overwrite", "an overwritten evicted value never comes back", lifetimes.overwrite_evicted),
    _row("append-repeatedly", "appends with an eviction before each, prepend after the restart", lifetimes.append_again_and_again),
    _row("counters", "incr wraps and decr stops, on evicted numbers and after restarts", lifetimes.counters),
    _row("expiry-while-down", "what expires while the server is down is gone for every command", lifetimes.expiry_while_down),
    _row("ttl", "times to live of set, touch, gat and mg T go on over a restart", lifetimes.ttl),
    _row("expiry-of-evicted", "what expires on disk does not come back", lifetimes.expiry_of_evicted),
    _row("flush-now", "flush_all with evicted documents; what is stored after it stays", lifetimes.flush_now, {}, (*EACH, "durable-value-kill", "durable-full-kill")),
    _row("flush-and-end", "flush_all right before the end", lifetimes.flush_and_end, {}),
    _row("flush-delayed", "a delayed flush_all: done before the restart, after it, and while down", lifetimes.flush_delayed, {}, (*EACH, "durable-value-kill", "durable-full-kill")),
    _row("flush-with-traffic", "flush_all among writers: items counted, found, and found again", lifetimes.flush_with_traffic, {"threads": 2}),
    _row("item-count", "curr_items is exact after every kind of change of evicted and unknown keys, and after restarts", lifetimes.item_count, {}, (*EACH, "full", "durable-full-kill")),
    _row("item-count-expired", "curr_items without what has expired, also while down", lifetimes.item_count_of_expired, {}),
    _row("multi-get", "get, gets, gat and gats of 100 keys of which some are evicted, absent, expired, deleted", waiting.multi_get),
    _row("multi-get-meta", "the same with mg q and opaques", waiting.multi_get_meta),
    _row("multi-get-binary", "the same with getkq", waiting.multi_get_binary),
    _row("upload-in-pieces", "stores sent byte by byte whose document is on disk", waiting.uploads_in_pieces),
    _row("upload-waits", "large appends that wait for the disk when their value has arrived", waiting.large_upload_waits),
    _row("pipeline", "480 requests in one write, waiting and not waiting in turn: replies in order", waiting.pipeline_order),
    _row("pipeline-binary", "the same with quiet commands and noops", waiting.binary_pipeline_order),
    _row("pipeline-noreply", "appends with noreply to evicted documents: once each, in order", waiting.noreply_pipeline),
    _row("herd", "50 clients ask for one evicted document: few reads", waiting.herd),
    _row("counted-once", "a request that waited counts once and is logged once", waiting.counted_once, {}),
    _row("clients-go-away", "connections reset while their requests wait", waiting.clients_go_away, {}),
    _row("half-an-upload", "values that have not arrived when the server ends", waiting.half_an_upload),
    _row("drain", "SIGTERM while requests wait: answered, and kept", waiting.drain, {}, ("cache", "value", "full")),
    _row("appends-from-many", "appends to one evicted document from 8 connections", waiting.same_key_from_many, {"threads": 2}),
    _row("backup-restore", "documents of a restored backup as they were: flags, CAS, time to live, stale, items", copies.backup_and_restore, {}, ("value", "full-kill", "durable-full-kill")),
    _row("backup-evicted", "a backup of what is evicted, overwritten, deleted; the next one after a flush", copies.backup_of_the_evicted, {}, ("value", "full-kill")),
    _row("statistics-of-files", "sizes of data and files, and stats warmup, after a restart", limits.statistics_of_files, {}),
    _row("statistics-reset", "stats reset forgets events and nothing else", limits.statistics_reset, {}),
    _row("warmup-with-traffic", "every kind of command from the first moment after a start", limits.warmup_with_traffic, {}),
    _row("warmup-within-memory", "a warmup of large values stays within memory", limits.warmup_within_memory, {}),
    _row("writers-wait", "writers faster than the disk: nothing refused, unsaved bytes bounded", limits.writers_wait, {"max_unsaved": "1M", "threads": 2}),
    _row("room-for-large", "a pipeline three times as large as memory", limits.pipelines_wait_for_room, {}),
    _row("room-for-small", "the same with values of 3000 bytes", limits.small_pipelines_wait_for_room, {}),
    _row("out-of-memory", "keys fill memory: stores refused, reads and deletes not; a restart with full memory", limits.out_of_memory, {}, ("value", "value-kill")),
    _row("more-keys-than-memory", "full eviction takes more keys than memory holds", limits.out_of_memory_full, {}, ("full-kill",)),
    _row("slow-reader", "clients that do not take evicted values hold little memory", limits.slow_reader, {"memory": "24M"}, ("value", "full-kill")),
    _row("connection-limit", "40 clients, 5 connections, evicted documents", limits.connection_limit, {"max_connections": 5}),
    _row("acknowledged-is-kept", "durability disk and SIGKILL among writes: what was acknowledged is there", limits.acknowledged_is_kept, {}, ("durable-value-kill", "durable-full-kill")),
    _row("killed-in-the-middle", "SIGKILL among writes to memory: no CAS twice, no value that was never whole", limits.killed_in_the_middle, {}, ("value-kill", "full-kill")),
]
