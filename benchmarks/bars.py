"""A bar chart as SVG: groups of named bars."""

from __future__ import annotations

from html import escape
from itertools import groupby

WIDTH, LABEL, BAR, GAP = 720, 190, 14, 10
COLOURS = {"mailward": "#1f6feb", "rspamd": "#d29922", "SpamAssassin": "#8b949e"}


def bars(title: str, rows: list[tuple[str, str, float]]) -> str:
    """`rows`: group, bar, value; neighbours of one group stand together."""
    most = max(value for _, _, value in rows)
    parts, y = [f'<text x="0" y="14" font-weight="bold">{escape(title)}</text>'], 28
    for group, found in groupby(rows, key=lambda row: row[0]):
        parts.append(f'<text x="0" y="{y + BAR - 3}">{escape(group)}</text>')
        for _, name, value in found:
            width = max(1.0, (WIDTH - LABEL - 150) * value / most)
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLOURS.get(name, "#6e7781")}"/>')
            parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + BAR - 3}">{value:,.0f} {escape(name)}</text>')
            y += BAR
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="12" role="img">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"
