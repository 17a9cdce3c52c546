"""Bar charts as SVG, readable on light and dark pages."""

from collections.abc import Callable, Sequence
from html import escape

from comparison import Measured
from engines import WATCHFLOOR

_WIDTH, _ROW, _TOP, _BOTTOM = 860, 34, 64, 16
_LABELS, _PANEL, _GAP = 210, 230, 90
_BAR = 18
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600 }
.bar { fill: #8c959f }
.own { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #6e7681 }
  .own { fill: #58a6ff }
}
"""


def chart(measured: Sequence[Measured], title: str) -> str:
    """The chart of the engines: events per second, and events per second of CPU time; longer is better in both."""
    ordered = sorted(measured, key=lambda each: -each.events_per_s)
    panels = (
        ("events per second", [each.events_per_s for each in ordered]),
        ("events per second of CPU", [1e5 / each.cpu_s_per_100k for each in ordered]),
    )
    own = [each.engine is WATCHFLOOR for each in ordered]
    return bars(title, [each.engine.label for each in ordered], panels, own)


def bars(
    title: str,
    labels: Sequence[str],
    panels: Sequence[tuple[str, Sequence[float]]],
    own: Sequence[bool],
    number: Callable[[float], str] = lambda value: f"{value:,.0f}" if value else "not measured",
) -> str:
    """An SVG with one row for each label and one group of bars for each panel: its heading and a value for each row.

    The rows of `own` are this project's. `number` formats a value; by default 0 is "not measured".
    """
    height = _TOP + _ROW * len(labels) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="head" x="0" y="18">{escape(title)}</text>',
    ]
    parts += [
        f'<text x="{_LABELS - 10}" y="{_baseline(index)}" text-anchor="end">{escape(label)}</text>'
        for index, label in enumerate(labels)
    ]
    for index, (head, values) in enumerate(panels):
        parts += _panel(_LABELS + index * (_PANEL + _GAP), head, values, own, number)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    left: int, head: str, values: Sequence[float], own: Sequence[bool], number: Callable[[float], str]
) -> list[str]:
    parts = [f'<text x="{left}" y="{_TOP - 14}">{head}</text>']
    for index, (value, ours) in enumerate(zip(values, own, strict=True)):
        width = max(1.0, _PANEL * value / max(*values, 1e-9))
        top = _TOP + index * _ROW
        kind = "own" if ours else "bar"
        parts.append(
            f'<rect class="{kind}" x="{left}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
            f'<text x="{left + width + 6:.1f}" y="{_baseline(index)}">{number(value)}</text>'
        )
    return parts


def _baseline(index: int) -> int:
    return _TOP + index * _ROW + _BAR - 4
