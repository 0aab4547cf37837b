"""What a model is, and what it answers.

A model is one file in this folder that defines a frozen attrs class derived from `Model` and names
it ``MODEL``. Its parameters are its attributes, checked at construction, so the same class is also
its configuration. It holds no data: a sample of P&L comes in, VaR and ES go out.

Convention, everywhere: `pnl` is profit and loss in currency, gains positive, oldest first. VaR and
ES are losses, positive when money is lost.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from rtre.errors import ModelError, in_words
from rtre.market import Float64, Int64
from rtre.sheet import RESULTS
from rtre.windows.lines import Lines

Cadence = Literal["tick", "interval"]

FIT_PENDING = "WARMING: first fit pending"
BELOW = "the model's ES lies below its VaR"


@attrs.frozen
class Tail:
    """VaR and ES of one sample at one confidence, with what is known of their error.

    Attributes
    ----------
    var, es : float
        In the units of the sample; losses positive; ``es >= var``. Either may be ``inf`` (a fitted
        tail so heavy that ES does not exist), never NaN unless `problem` says why.
    var_low, var_high : float
        Interval for VaR at 95 %. ``inf`` in `var_high`: the sample is too small to bound VaR from
        above. NaN: this model gives no interval.
    es_se : float
        Standard error of ES; NaN where the model gives none.
    problem : str
        Empty, or why this model must not be used on this sample (then `var` and `es` are NaN).
    """

    var: float
    es: float
    var_low: float = np.nan
    var_high: float = np.nan
    es_se: float = np.nan
    problem: str = ""

    @classmethod
    def invalid(cls, problem: str) -> Tail:
        """The answer of a model outside its domain: no number, and the reason."""
        return cls(np.nan, np.nan, problem=problem)

    def scaled(self, unit: float) -> Tail:
        """Return the same tail of P&L multiplied by `unit` (positive)."""
        return Tail(
            unit * self.var,
            unit * self.es,
            unit * self.var_low,
            unit * self.var_high,
            unit * self.es_se,
            self.problem,
        )


@attrs.frozen
class Model(abc.ABC):
    """One way to get VaR and ES from a sample of P&L.

    Subclasses are frozen attrs classes. `estimate` is the definition: plain, exact, readable.
    A model that must be faster on every tick also overrides `evaluate` (many lines in one
    kernel call); the conformance suite checks one against the other.
    """

    name: ClassVar[str]  #: as typed after ``--model``: the file's name, ``_`` as ``-``
    min_obs: ClassVar[int] = 2  #: fewer observations than this never give a number

    @property
    def cadence(self) -> Cadence:
        """``tick``: cheap enough to run on every report.

        ``interval``: asked about the closed intervals alone, when one closes; until the next close
        a symbol's numbers follow its exposure. A model whose options do not change it may say so in
        a class variable of this name.
        """
        return "tick"

    @property
    def fits(self) -> bool:
        """Whether there is something to fit."""
        return type(self).fit is not Model.fit

    @property
    def plain_ranks(self) -> bool:
        """Whether VaR and ES are the plain order statistics that `Lines.tails` gives by itself."""
        return False

    @property
    def steps_ahead(self) -> int:
        """Observations whose P&L together the answers are about."""
        return 1

    def prepare(self, lines: Lines) -> None:
        """Start the running statistics that `evaluate` will read, while `lines` are still empty.

        A statistic started later would have other rounding, and the bits of a number would depend
        on when it was first asked for.
        """
        return None

    def fit(self, pnl: Float64) -> Any:
        """Do the slow part: estimate parameters, scale-free, to be reused until the next refit.

        The result is handed to `estimate` as `fitted`, possibly together with a later sample of
        another scale (exposures move), so it must not depend on the scale of `pnl`. None where
        the model has nothing to fit.
        """
        return None

    def fit_sample(self, lines: Lines, line: int) -> Float64:
        """Return what `fit` is given of a line: the P&L of its closed intervals, (n,).

        A model that fits the assets of a book together takes their returns, (assets, n).
        """
        return lines.sample(line, closed=True)

    @abc.abstractmethod
    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of `pnl`, shape (n,), oldest first, at each confidence, one `Tail` each.

        ``fitted=None`` means: fit on this sample first, where there is something to fit.
        The horizon is one observation of `pnl`; scaling is the caller's.
        """

    def estimate_line(
        self, lines: Lines, line: int, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """`estimate` of a line's sample; a model that sees more than its P&L says so here."""
        return self.estimate(lines.sample(line), confidences, fitted)

    def evaluate(
        self,
        lines: Lines,
        which: Int64,
        confidences: tuple[float, ...],
        out: Float64,
        fitted: Mapping[int, Any] | None = None,
    ) -> dict[int, str]:
        """Estimate several lines at once, for the engine; this default asks `estimate` for each.

        Parameters
        ----------
        lines : Lines
            The windows of all symbols and books; not changed.
        which : (m,) int64
            Lines to estimate, ascending; each has at least `min_obs` observations.
        out : (L, C, 5) float64
            Rows of `which` are written: var, es, var_low, var_high, es_se, as in `Tail`.
        fitted : mapping, optional
            Line to what `fit` gave. A line that is not in it has no answer yet. None: fit each
            line on its present sample.

        Returns
        -------
        dict
            Line to problem, for the lines that this model cannot answer (their rows are NaN). An ES
            below VaR is such a problem.

        Raises
        ------
        ModelError
            `estimate` raised, or did not give a `Tail` for each confidence.
        """
        problems = {}
        for line in which.tolist():
            if fitted is not None and self.fits and line not in fitted:
                tails = [Tail.invalid(FIT_PENDING)] * len(confidences)
            else:
                fit = fitted.get(line) if fitted is not None else None
                with blamed(self, lines.names[line]):
                    found = self.estimate_line(lines, line, confidences, fit)
                    tails = _answers(found, confidences)
            for c, tail in enumerate(tails):
                out[line, c] = (tail.var, tail.es, tail.var_low, tail.var_high, tail.es_se)
                problem = tail.problem
                # a rounding apart is not below: 1e-9 is far above those, and below any real fault
                if tail.es < tail.var and not math.isclose(tail.es, tail.var, rel_tol=1e-9):
                    problem = problem or BELOW
                if problem:
                    out[line, c] = (np.nan,) * RESULTS
                    problems[line] = problem
        return problems


@contextmanager
def blamed(model: Model, line: str) -> Iterator[None]:
    """Turn whatever a model raises into a `ModelError` that names it, the line and the place."""
    try:
        yield
    except Exception as error:  # a model is anybody's code
        name = getattr(model, "name", type(model).__name__)
        raise ModelError(f"model {name!r} failed on {line}: {in_words(error)}") from error


def _answers(tails: Any, confidences: Sequence[float]) -> list[Tail]:
    """Return what a model answered, if it is what was asked for."""
    found = list(tails)
    if len(found) != len(confidences) or not all(isinstance(tail, Tail) for tail in found):
        raise TypeError(f"estimate is to give a Tail for each of {len(confidences)} confidences")
    return found
