"""The words and figures that all reports of a backtest share."""

from __future__ import annotations

import math

from rtre.backtest.judge import LEVEL, Verdict, highest
from rtre.backtest.result import BacktestResult

#: Test to the name that people know it by, and what it asks; in the order of the reports.
TESTS = {
    "binomial": ("Binomial", "are there as many exceedances as there should be? (two-sided)"),
    "kupiec-pof": ("Kupiec POF", "the same by likelihood ratio"),
    "tuff": ("Kupiec TUFF", "did the first exceedance come when it should?"),
    "tbf": ("Haas TBF", "did all of them come at the intervals they should?"),
    "christoffersen-independence": (
        "Christoffersen independence",
        "does an exceedance make one on the next day likelier?",
    ),
    "conditional-coverage": ("Christoffersen cond. coverage", "number and independence together"),
    "duration": (
        "Christoffersen-Pelletier",
        "do the waits between exceedances have no memory?",
    ),
    "dynamic-quantile": (
        "Dynamic quantile",
        "does anything known before (past hits, VaR, last loss) foresee exceedances?",
    ),
    "exceedance-residuals": ("McNeil-Frey ES", "do losses beyond VaR average to more than ES?"),
    "acerbi-szekely-z1": ("Acerbi-Szekely Z1", "are losses beyond VaR larger than ES says?"),
    "acerbi-szekely-z2": ("Acerbi-Szekely Z2", "are they too large, too many, or both?"),
}

#: Tests of when exceedances come; and of that and their number at once. Where one of these rejects,
#: the number may be as it should: too many or too few is for the tests of the number to say.
_PATTERN = ("christoffersen-independence", "duration")
_BOTH = ("tbf", "conditional-coverage", "dynamic-quantile")


def p_value(p: float) -> str:
    """Return a p-value as people read it.

    >>> p_value(0.04321), p_value(0.00004), p_value(1.0)
    ('0.043', '<0.001', '1')
    """
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}".rstrip("0").rstrip(".")


def wealth(value: float) -> str:
    """Return the wealth of a bet, short.

    >>> wealth(3.14159), wealth(1e30), wealth(math.inf)
    ('3.1', '1e+30', 'inf')
    """
    if math.isinf(value):
        return "inf"
    return f"{value:.1f}" if value < 1000.0 else f"{value:.0e}"


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number with so many decimals; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def arrow(test: BacktestResult, level: float = LEVEL) -> str:
    """Return how a rejected forecast errs; nothing where it is not rejected."""
    if not test.rejects(level):
        return ""
    if test.test in _PATTERN:
        return {"too low": "clustered", "too high": "too regular"}.get(test.direction, "rejected")
    if test.test in _BOTH:
        return "rejected"
    return {"too low": "risk too low", "too high": "risk too high"}.get(test.direction, "rejected")


def bet_words(verdict: Verdict, what: str) -> tuple[float | None, int | None]:
    """Highest wealth of the bet against ``var`` or ``es``, and the row of the rejection."""
    bet = verdict.var_bet if what == "var" else verdict.es_bet
    if bet is None:
        return None, None
    return highest(bet), bet.rejected_at(LEVEL)


def rows_of(verdict: Verdict) -> str:
    """Say which rows were left out, and why; empty where none was."""
    return "; ".join(f"{count} rows: {reason}" for reason, count in verdict.skipped.items())
