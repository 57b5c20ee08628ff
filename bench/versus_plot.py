"""The picture of bench/versus: horizontal bars as multiples of memcached, from 0, as an SVG written by hand.

Readable on light and on dark pages: the ground is transparent, the greys are between, and a reader that knows
prefers-color-scheme gets sharper ones.
"""

from html import escape

from versus_report import COLUMNS, amount, medians_of
from versus_scenarios import METRICS

BASE = "memcached"
WIDTH = 860
LEFT = 112  # where bars begin: names stand before it
RIGHT = 150  # room for the figure behind the longest bar
BAR = 13
BAR_STEP = 17
GROUP_TITLE = 22
GROUP_GAP = 14

STYLE = """
  text { font-family: system-ui, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 12px; fill: #768390 }
  .title { font-size: 15px; font-weight: 600 }
  .group { font-weight: 600 }
  .name { text-anchor: end }
  .axis { text-anchor: middle; font-size: 11px }
  .grid { stroke: #8b949e; stroke-opacity: .25 }
  .base { stroke: #8b949e; stroke-opacity: .9; stroke-dasharray: 3 3 }
  .zero { stroke: #8b949e }
  .bobbin { fill: #2f7ee6 }
  .memcached { fill: #8b949e }
  .redis { fill: #c08a6a }
  .ceiling { fill: none; stroke: #8b949e; stroke-dasharray: 4 2 }
  .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) { text { fill: #a9b3be } .strong, .title, .group { fill: #e6edf3 } }
  @media (prefers-color-scheme: light) { text { fill: #59636e } .strong, .title, .group { fill: #1f2328 } }
"""


class Group:
    """One scenario's bars: (server, multiple of memcached, figure)."""

    def __init__(self, title, medians, metric):
        self.title = title
        unit, self.larger_is_better = METRICS[metric]
        base = medians.of(BASE, metric)
        self.bars = []
        for name in COLUMNS if base else ():
            value = medians.of(name, metric)
            if value is not None:
                figure = amount(value, metric)
                bare_number = figure[-1].isdigit()
                self.bars.append((name, value / base, f"{figure} {unit}" if bare_number else figure))

    @property
    def height(self):
        return GROUP_TITLE + BAR_STEP * len(self.bars) + GROUP_GAP


def _groups(raw):
    """(those where longer bars are better, those where shorter ones are)"""
    rates, costs = [], []
    for medians in medians_of(raw):
        scenario = medians.scenario
        if not scenario.pinned or scenario.keeps_data:
            continue  # compares each server with itself
        group = Group(scenario.title, medians, scenario.metric)
        (rates if group.larger_is_better else costs).append(group)
        if any(mark.metric == "p99" for mark in scenario.marks):
            costs.insert(0, Group(f"99th percentile of {scenario.title}", medians, "p99"))
    return [g for g in rates if g.bars], [g for g in costs if g.bars]


def _panel(title, groups, top):
    """SVG elements of one panel, and where it ends."""
    longest = max(multiple for group in groups for _, multiple, _ in group.bars)
    step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 1e9) if longest / s <= 8)
    scale = (WIDTH - LEFT - RIGHT) / longest
    first = top + 34
    last = first + sum(group.height for group in groups)
    parts = [f'<text class="title" x="8" y="{top + 16}">{escape(title)}</text>']
    for i in range(int(longest / step) + 1):
        x = LEFT + i * step * scale
        parts.append(f'<line class="{"zero" if i == 0 else "grid"}" x1="{x:.1f}" x2="{x:.1f}" y1="{first}" y2="{last}"/>')
        parts.append(f'<text class="axis" x="{x:.1f}" y="{last + 15}">{i * step:g}</text>')
    base = LEFT + scale
    parts.append(f'<line class="base" x1="{base:.1f}" x2="{base:.1f}" y1="{first}" y2="{last}"/>')
    y = first
    for group in groups:
        parts.append(f'<text class="group" x="{LEFT + 6}" y="{y + 16}">{escape(group.title)}</text>')
        y += GROUP_TITLE
        for name, multiple, figure in group.bars:
            length = max(multiple * scale, 1)
            strong = " strong" if name == "bobbin" else ""
            label = figure if name == BASE else f"{figure} · {multiple:.2f}×"
            parts.append(f'<text class="name{strong}" x="{LEFT - 8}" y="{y + 11}">{name}</text>')
            parts.append(f'<rect class="{name}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
            parts.append(f'<text class="figure{strong}" x="{LEFT + length + 6:.1f}" y="{y + 11}">{escape(label)}</text>')
            y += BAR_STEP
        y += GROUP_GAP
    return parts, last + 40


def plot(raw):
    rates, costs = _groups(raw)
    parts, end = [], 8
    for title, groups in (
        (f"Rates as multiples of {BASE}'s: longer is better", rates),
        (f"Latency, memory and start as multiples of {BASE}'s: shorter is better", costs),
    ):
        if groups:
            more, end = _panel(title, groups, end)
            parts += more
    if not parts:
        parts, end = [f'<text x="8" y="20">nothing was measured together with {BASE}</text>'], 30
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{end}" viewBox="0 0 {WIDTH} {end}">'
    description = "<title>Bobbin, memcached, Redis and a bare epoll server, measured in one run</title>"
    return "\n".join([head, description, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
