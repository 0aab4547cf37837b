"""The columns of the live table: what is in the cells, and which go first on a narrow terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs
from rich.cells import cell_len
from rich.text import Text

from rtre.market import Quality
from rtre.sinks.text import MISSING, age, amount, clean, level

if TYPE_CHECKING:
    from rtre.report import LineReport, RiskEstimate

INTERVAL = "95% interval"
ERROR = "± se"
GAP = 2  #: blank cells between two columns

_COLOURS = {
    Quality.UNPRICED: "dim",
    Quality.WARMING: "yellow",
    Quality.STALE: "yellow",
    Quality.SUSPECT: "magenta",
    Quality.GAP: "yellow",
    Quality.HALTED: "red",
    Quality.CLOSED: "blue",
    Quality.DISCONNECTED: "red",
}


@attrs.frozen
class Column:
    """One column with its cells filled.

    Attributes
    ----------
    what : str
        For the note on what a narrow terminal leaves out.
    rank : int
        Columns with the highest rank go first; rank 0 always stays.
    """

    header: str
    what: str
    rank: int
    cells: tuple[Text, ...]
    left: bool = False

    @property
    def width(self) -> int:
        """Of the widest cell, header included."""
        return max(cell_len(self.header), *(c.cell_len for c in self.cells), 0)


def align(texts: Sequence[str]) -> list[str]:
    """Pad numbers so that their decimal points stand below each other.

    >>> align(["1,234", "0.0456", "–"])
    ['1,234     ', '    0.0456', '    –     ']
    """
    parts = [text.partition(".") for text in texts]
    whole = max((cell_len(w) for w, _, _ in parts), default=0)
    rest = max((len(point + r) for _, point, r in parts), default=0)
    return [f"{' ' * (whole - cell_len(w))}{w}{point + r:<{rest}}" for w, point, r in parts]


def _numbers(texts: Sequence[str], styles: Sequence[str] | str = "") -> tuple[Text, ...]:
    of = [styles] * len(texts) if isinstance(styles, str) else styles
    return tuple(
        Text(text, style="dim" if text.strip() == MISSING else style)
        for text, style in zip(align(texts), of, strict=True)
    )


def _dress(quality: Quality) -> Text:
    """Return the worst flag in its colour, and how many more there are."""
    flags = [f for f in reversed(Quality) if f in quality and f]
    if not flags:
        return Text("LIVE", style="green")
    more = f" +{len(flags) - 1}" if len(flags) > 1 else ""
    return Text(f"{flags[0].name}{more}", style=_COLOURS.get(flags[0], "yellow"))


def _change(line: LineReport) -> tuple[str, str]:
    if line.change is None:
        return ("" if line.is_book else MISSING), ""
    text = f"{100.0 * line.change:+.3f}%"
    if text[1:] == "0.000%":
        return " 0.000%", "dim"
    return text, "green" if line.change > 0.0 else "red"


def _values(
    lines: Sequence[LineReport], i: int, of: Callable[[RiskEstimate], float | None]
) -> list[str]:
    return [amount(of(line.estimates[i])) if line.estimates else MISSING for line in lines]


def _why(lines: Sequence[LineReport], cells: tuple[Text, ...]) -> tuple[Text, ...]:
    """Say in the cell of a missing VaR what it waits for."""
    shown = list(cells)
    for row, line in enumerate(lines):
        if line.n_obs < line.min_obs:
            shown[row] = Text(f"WARMING {line.n_obs}/{line.min_obs}", style="yellow")
        elif not line.estimates:
            shown[row] = Text("no estimate", style="yellow")
    return tuple(shown)


def _intervals(lines: Sequence[LineReport], i: int) -> tuple[Text, ...]:
    lows, highs = [], []
    for line in lines:
        low = line.estimates[i].var_low if line.estimates else None
        high = line.estimates[i].var_high if line.estimates else None
        if high is not None:
            lows.append("≤" if low is None else amount(low))
            highs.append(amount(high))
        else:
            lows.append("" if low is None else f"≥ {amount(low)}")
            highs.append("")
    shown = []
    for left, right in zip(align(lows), align(highs), strict=True):
        dash = "–" if right.strip() and left.strip() != "≤" else " "
        shown.append(Text(f"{left}{dash}{right}", style="dim"))
    return tuple(shown)


def _errors(lines: Sequence[LineReport], i: int) -> tuple[Text, ...]:
    ses = [line.estimates[i].es_se if line.estimates else None for line in lines]
    aligned = align(["" if se is None else amount(se) for se in ses])
    return tuple(
        Text("" if se is None else f"± {text}", style="dim")
        for se, text in zip(ses, aligned, strict=True)
    )


def _risk(lines: Sequence[LineReport], confidences: Sequence[float]) -> list[Column]:
    found: list[Column] = []
    order = sorted(range(len(confidences)), key=lambda i: confidences[i])
    for place, i in enumerate(order):
        percent, lower = level(confidences[i]), i != order[-1]
        var = _numbers(_values(lines, i, lambda e: e.var))
        es = _numbers(_values(lines, i, lambda e: e.es))
        rank = 28 - place if lower else 0  # a level goes as one, the lowest first
        found += [
            Column(f"VaR {percent}%", f"VaR {percent}%", rank, var if lower else _why(lines, var)),
            Column(INTERVAL, "intervals of VaR", 90 if lower else 80, _intervals(lines, i)),
            Column(f"ES {percent}%", f"ES {percent}%", rank, es),
            Column(ERROR, "standard errors of ES", 70 if lower else 60, _errors(lines, i), True),
        ]
    return found


def columns(lines: Sequence[LineReport], confidences: Sequence[float]) -> list[Column]:
    """Fill all columns with `lines`."""
    changes = [_change(line) for line in lines]
    prices = ["" if line.is_book else amount(line.price) for line in lines]
    ages = tuple(Text(age(line.age_ns), style="dim") for line in lines)
    found = [
        Column("symbol", "", 0, tuple(Text(clean(line.name)) for line in lines), True),
        Column("price", "price", 10, _numbers(prices)),
        Column("return", "return", 30, _numbers([c for c, _ in changes], [s for _, s in changes])),
        Column("exposure", "exposure", 40, _numbers([amount(line.exposure) for line in lines])),
        *_risk(lines, confidences),
        Column("obs", "observations", 50, tuple(Text(f"{line.n_obs:,}") for line in lines)),
        Column("quality", "quality", 5, tuple(_dress(line.quality) for line in lines), True),
        Column("age", "age", 55, ages),
    ]
    optional = (INTERVAL, ERROR)  # not every model gives them
    return [c for c in found if c.header not in optional or any(t.plain.strip() for t in c.cells)]


def fit(found: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    """Leave out what does not fit into `width` cells.

    Returns
    -------
    kept : list of Column
    left_out : list of str
        What went, each once, first gone first.
    """
    kept, left_out = list(found), []
    while sum(c.width for c in kept) + GAP * (len(kept) - 1) > width:
        rank = max(c.rank for c in kept)
        if rank == 0:
            break  # too narrow for anything: the cells themselves are cut, with an ellipsis
        left_out += [c.what for c in kept if c.rank == rank]
        kept = [c for c in kept if c.rank != rank]
    return kept, list(dict.fromkeys(left_out))
