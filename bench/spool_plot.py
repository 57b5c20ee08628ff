"""The picture of bench/spool, an SVG written by hand: for each way, what the p99 of gets is beside it, and how many items it
sends meanwhile. Both axes are logarithmic, because the ways are that far apart.

Readable on light and on dark pages, as that of bench/versus.
"""

import math
from html import escape

from spool_report import MODES, WAYS, beside, idle_of
from versus_plot import STYLE

WIDTH = 860
LEFT, RIGHT = 62, 230
PANEL = 230
SHORT = {"product": "scans and streams, spool", "scans": "scans, spool"}
CLASS = {"product": "bobbin", "scans": "bobbin", "spool": "bobbin"}


def _ticks(low, high):
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def _name(way):
    if way in SHORT:
        return SHORT[way]
    return f"{way[6:]}, 32 KiB" if way.startswith("batch:") else f"{way}, each item"


def _spread(points):
    """Heights of labels so that none lies on another."""
    placed = []
    for y, label in sorted(points):
        placed.append((max(y, placed[-1][0] + 14) if placed else y, label))
    return placed


def _panel(table, mode, title, top):
    points, idle = [], None
    for way in WAYS:
        load, base = table.get((mode, way, "load")), idle_of(table, mode, way)
        if load and base:
            if load["foreground_per_s"] == 0:
                continue  # no latency: nobody was answered
            idle = base
            points.append((way, max(load["scan_items_per_s"] + load["stream_items_per_s"], 1), load["p99_us"]))
    if not points:
        return [], top
    lows = [min(p[1] for p in points), min([p[2] for p in points] + [idle["p99_us"]])]
    highs = [max(p[1] for p in points), max(p[2] for p in points)]
    xs, ys = _ticks(lows[0], highs[0]), _ticks(lows[1], highs[1])
    first, last = top + 34, top + 34 + PANEL
    scale = lambda value, ticks, begin, end: begin + (math.log10(value) - math.log10(ticks[0])) / (math.log10(ticks[-1]) - math.log10(ticks[0]) or 1) * (end - begin)
    x_of = lambda value: scale(value, xs, LEFT, WIDTH - RIGHT)
    y_of = lambda value: scale(value, ys, last, first)
    parts = [f'<text class="title" x="8" y="{top + 16}">{escape(title)}</text>']
    for value in xs:
        x = x_of(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{first}" y2="{last}"/>')
        parts.append(f'<text class="axis" x="{x:.1f}" y="{last + 15}">{value:,.0f}</text>')
    for value in ys:
        y = y_of(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="name" x="{LEFT - 6}" y="{y + 4:.1f}">{value:,.0f}</text>')
    y = y_of(idle["p99_us"])
    parts.append(f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    labels = [(y, ("idle", "", None))]
    for way, items, p99 in points:
        x, y = x_of(items), y_of(p99)
        kind = CLASS.get(way, "redis" if not way.startswith("batch:") else "memcached")
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
        labels.append((y, (_name(way), "strong" if way in SHORT else "", (x, y))))
    for y, (name, weight, point) in _spread(labels):
        parts.append(f'<text class="{weight}" x="{WIDTH - RIGHT + 22}" y="{y + 4:.1f}">{escape(name)}</text>')
        if point:
            parts.append(f'<line class="grid" x1="{point[0] + 7:.1f}" x2="{WIDTH - RIGHT + 18}" y1="{point[1]:.1f}" y2="{y:.1f}"/>')
    parts.append(f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{last + 31}">items a second, all readers together</text>')
    parts.append(f'<text class="axis" x="{LEFT}" y="{first - 6}">p99 of gets, µs</text>')
    return parts, last + 48


def plot(rows, quiet_below):
    table = beside(rows, quiet_below)
    parts, end = [], 8
    for mode, words in MODES.items():
        more, end = _panel(table, mode, words[0].upper() + words[1:], end)
        parts += more
    if not parts:
        parts, end = ['<text x="8" y="20">nothing was measured beside gets</text>'], 30
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{end}" viewBox="0 0 {WIDTH} {end}">'
    description = "<title>The latency of gets and the items sent beside them, for the spool and the other ways to hand off</title>"
    return "\n".join([head, description, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
