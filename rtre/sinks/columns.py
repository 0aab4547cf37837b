"""The columns of the live table: what is in the cells, and which go first on a narrow terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

import attrs
from rich.cells import cell_len

from rtre.market import Quality
from rtre.sinks.text import MISSING, age, clean, level, money, price

if TYPE_CHECKING:
    from rtre.figures import LineReport, RiskEstimate

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


Cell = tuple[str, str]  # text and style: a rich.text.Text for each would take four times as long


@attrs.frozen
class Column:
    """One column with its cells filled.

    Attributes
    ----------
    what : str
        For the note on what a narrow terminal leaves out.
    rank : int
        Columns with the highest rank go first; rank 0 always stays.
    optional : bool
        Left out without a note where it is empty.
    """

    header: str
    what: str
    rank: int
    cells: tuple[Cell, ...]
    left: bool = False
    optional: bool = False
    width: int = attrs.field(init=False)  #: of the widest cell, header included

    @width.default
    def _width(self) -> int:
        return max(cell_len(self.header), *(cell_len(text) for text, _ in self.cells), 0)

    def pad(self, text: str) -> str:
        """Return `text` at the width of the column."""
        blank = " " * (self.width - cell_len(text))
        return text + blank if self.left else blank + text


def align(texts: Sequence[str]) -> list[str]:
    """Pad numbers so that their decimal points stand below each other.

    >>> align(["1,234", "0.0456", "–"])
    ['1,234     ', '    0.0456', '    –     ']
    """
    parts = [text.partition(".") for text in texts]
    whole = max((cell_len(w) for w, _, _ in parts), default=0)
    rest = max((len(point + r) for _, point, r in parts), default=0)
    return [f"{' ' * (whole - cell_len(w))}{w}{point + r:<{rest}}" for w, point, r in parts]


def _plain(texts: Iterable[str], style: str = "") -> tuple[Cell, ...]:
    return tuple((text, style) for text in texts)


def _numbers(texts: Sequence[str], styles: Iterable[str] = repeat("")) -> tuple[Cell, ...]:
    return tuple(
        (text, "dim" if text.strip() == MISSING else style)
        for text, style in zip(align(texts), styles, strict=False)
    )


def _dress(quality: Quality) -> Cell:
    """Return the worst flag in its colour, and how many more there are."""
    flags = [f for f in reversed(Quality) if f in quality and f]
    if not flags:
        return "LIVE", "green"
    more = f" +{len(flags) - 1}" if len(flags) > 1 else ""
    return f"{flags[0].name}{more}", _COLOURS.get(flags[0], "yellow")


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
    return [money(of(line.estimates[i])) if line.estimates else MISSING for line in lines]


def _why(lines: Sequence[LineReport], cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Say in the cell of a missing VaR what it waits for."""
    shown = list(cells)
    for row, line in enumerate(lines):
        if line.n_obs < line.min_obs:
            shown[row] = f"WARMING {line.n_obs}/{line.min_obs}", "yellow"
        elif not line.estimates and Quality.WARMING in line.quality:
            shown[row] = "WARMING", "yellow"  # the model waits for more than observations
        elif not line.estimates:
            shown[row] = "no estimate", "yellow"
    return tuple(shown)


def _intervals(lines: Sequence[LineReport], i: int) -> tuple[Cell, ...]:
    lows, highs = [], []
    for line in lines:
        low = line.estimates[i].var_low if line.estimates else None
        high = line.estimates[i].var_high if line.estimates else None
        if high is not None:
            lows.append("≤" if low is None else money(low))
            highs.append(money(high))
        else:
            lows.append("" if low is None else f"≥ {money(low)}")
            highs.append("")
    widest = max(map(len, highs))
    shown = []
    for left, right in zip(align(lows), highs, strict=True):
        dash = "–" if right and left.strip() != "≤" else " "
        shown.append(f"{left}{dash}{right:<{widest}}")
    return _plain(shown, "dim")


def _errors(lines: Sequence[LineReport], i: int) -> tuple[Cell, ...]:
    ses = [line.estimates[i].es_se if line.estimates else None for line in lines]
    aligned = align(["" if se is None else money(se, cents_below=10.0) for se in ses])
    pairs = zip(ses, aligned, strict=True)
    return _plain(("" if se is None else f"± {text}" for se, text in pairs), "dim")


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
            Column(
                "95% interval", f"interval of VaR {percent}%", 90 if lower else 80,
                _intervals(lines, i), optional=True,
            ),
            Column(f"ES {percent}%", f"ES {percent}%", rank, es),
            Column(
                "± se", f"error of ES {percent}%", 70 if lower else 60,
                _errors(lines, i), left=True, optional=True,
            ),
        ]  # fmt: skip
    return found


def columns(lines: Sequence[LineReport], confidences: Sequence[float]) -> list[Column]:
    """Fill all columns with `lines`."""
    changes = [_change(line) for line in lines]
    prices = ["" if line.is_book else price(line.price) for line in lines]
    ages = _plain((age(line.age_ns) for line in lines), "dim")
    found = [
        Column("symbol", "", 0, _plain(clean(line.name) for line in lines), True),
        Column("price", "price", 10, _numbers(prices)),
        Column("return", "return", 30, _numbers([c for c, _ in changes], [s for _, s in changes])),
        Column("exposure", "exposure", 40, _numbers([money(line.exposure) for line in lines])),
        *_risk(lines, confidences),
        Column("obs", "observations", 50, _plain(f"{line.n_obs:,}" for line in lines)),
        Column("quality", "quality", 5, tuple(_dress(line.quality) for line in lines), True),
        Column("age", "age", 55, ages),
    ]
    # Not every model gives intervals and standard errors.
    return [c for c in found if not c.optional or any(text.strip() for text, _ in c.cells)]


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
