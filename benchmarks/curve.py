"""Draws the trade-off of the levels as SVG: ham across, spam upwards, the levels as a line, plain memory as crosses."""

from __future__ import annotations

import math
from html import escape

Point = tuple[float, float]  # share of ham, share of spam
WIDTH, HEIGHT, LEFT, TOP, SIDE = 880, 420, 56, 44, 340
LEAST = 1e-5  # ham shares below are drawn here: the axis is logarithmic


def draw(curves: dict[str, tuple[list[Point], list[Point]]]) -> str:
    """One panel for each world: (levels 1 to 4, plain memory of an address 1 h, 12 h, of its /24 1 h, 12 h)."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
        "<title>Spam and ham from listed sources, by level</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for number, (name, (levels, plain)) in enumerate(curves.items()):
        parts += _panel(LEFT + number * (SIDE + 80), name, levels, plain)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, name: str, levels: list[Point], plain: list[Point]) -> list[str]:
    low = math.floor(min(spam for _, spam in levels + plain) * 10) / 10
    high = math.ceil(max(spam for _, spam in levels + plain) * 10) / 10

    def at(point: Point) -> tuple[float, float]:
        ham, spam = point
        across = (math.log10(max(ham, LEAST)) - math.log10(LEAST)) / (0 - math.log10(LEAST))
        return left + across * SIDE, TOP + (1 - (spam - low) / (high - low)) * SIDE

    bottom = TOP + SIDE
    parts = [f'<text x="{left}" y="{TOP - 20}" font-weight="bold">{escape(name)}</text>']
    for step in range(round((high - low) * 10) + 1):
        y = at((1, low + step / 10))[1]
        parts.append(f'<path d="M{left} {y:.0f}H{left + SIDE}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{low * 100 + step * 10:.0f} %</text>')
    for power in range(-5, 1):
        x = at((10.0**power, low))[0]
        label = f"{'≤ ' if power == -5 else ''}{10.0**power * 100:g} %"
        parts.append(
            f'<path d="M{x:.0f} {TOP}V{bottom}" stroke="#eee"/><text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{label}</text>'
        )
    parts.append(f'<text x="{left + SIDE / 2:.0f}" y="{bottom + 32}" text-anchor="middle">ham from listed sources</text>')
    places = [at(point) for point in levels]
    parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="#0b6" stroke-width="2"/>')
    for level, (x, y) in enumerate(places, 1):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0b6"/><text x="{x + 8:.1f}" y="{y + 4:.1f}">level {level}</text>')
    for point, words in zip(plain, ("1 h", "12 h", "/24 1 h", "/24 12 h"), strict=True):
        x, y = at(point)
        parts.append(f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="#c33" stroke-width="2"/>')
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="#933">{words}</text>')
    return parts
