"""One model at work on shared windows: what it said of each line, its fits, its problems.

Several estimators stand on one `Lines`: the windows, the sorted returns, the P&L vectors and the
running statistics are kept once, whatever the number of models. The live engine and the backtest
drive the same class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from rtre.backtest.result import Bool
from rtre.fits import FitJob, FitResult, Fits
from rtre.kernels import layout
from rtre.kernels.jit import direct
from rtre.kernels.snapshot import survey
from rtre.market import Float64, Int64
from rtre.models.base import Model
from rtre.sheet import Sheet
from rtre.windows.lines import Lines


class Estimator:
    """One model on some of the lines.

    Build it while `lines` are still empty: the model starts its running statistics here.

    Parameters
    ----------
    label : str
        What reports call it.
    model : Model
    lines : Lines
        Shared with others.
    confidences : tuple of float
    min_obs : int
        A line with fewer observations has no estimate; the model may need more.
    refit_every : int
        Grid intervals after which a fit is due again.
    closed : bool
        Show the model closed intervals alone.
    serves : (L,) bool, optional
        Lines it is asked about; None: all.
    values : (L, C, 5) float64, optional
        Where estimates are written; None: an array of its own.

    Attributes
    ----------
    sheet : Sheet
        Exposures and observations at the last `survey`, and `values` unless those lie elsewhere.
    values : (L, C, 5) float64
        As of `Model.evaluate`; NaN where there is none.
    problems : dict
        Line to the reason for having no number. Replaced, never changed: reports hold on to it.
    fits : Fits or None
        None: the model has nothing to fit.
    """

    def __init__(
        self,
        label: str,
        model: Model,
        lines: Lines,
        confidences: tuple[float, ...],
        *,
        min_obs: int,
        refit_every: int,
        closed: bool,
        serves: Bool | None = None,
        values: Float64 | None = None,
    ) -> None:
        model.prepare(lines)
        self.label = label
        self.model = model
        self.closed = closed
        self.min_obs = max(min_obs, model.min_obs)
        self.serves = None if serves is None or serves.all() else serves
        self.sheet = Sheet.empty(lines.n_assets, len(lines.books), len(confidences))
        self.values = self.sheet.values if values is None else values
        self.problems: dict[int, str] = {}
        self.fits = Fits(len(lines), refit_every) if model.fits else None
        self._lines = lines
        self._confidences = confidences

    def survey(self) -> Int64:
        """Return the lines to ask about, and forget problems that no longer stand.

        `Lines.dirty`, which says what has changed, is left for others to see.
        """
        lines, sheet = self._lines, self.sheet
        found = self._survey(lines.floats, lines.ints, sheet.block, self.closed, self.min_obs)
        which = sheet.work[:found]
        if self.problems:
            still = sheet.n_obs >= self.min_obs
            self.problems = {i: text for i, text in self.problems.items() if still[i]}
        return which if self.serves is None else which[self.serves[which]]

    @cached_property
    def _survey(self) -> Callable[..., int]:
        """The kernel, for our arrays."""
        lines = self._lines
        return direct(survey, lines.floats, lines.ints, self.sheet.block, False, 0)

    def refresh(self, which: Int64) -> None:
        """Bring the estimates of `which` (ascending, observed often enough) up to date."""
        if self.problems:
            kept = dict(self.problems)
            for line in which.tolist():
                kept.pop(line, None)
            self.problems = kept
        if found := self.answer(which):
            self.problems = self.problems | found

    def answer(self, which: Int64) -> dict[int, str]:
        """Ask the model about `which`; returns line to problem, for those it cannot answer."""
        problems, fitted = {}, None
        if self.fits is not None:
            fitted = self.fits.values
            problems = {i: t for i in which.tolist() if (t := self.fits.problems.get(i, ""))}
            if problems:
                self.values[list(problems)] = np.nan
                which = which[~np.isin(which, list(problems))]
        if len(which):
            lines = self._lines
            lines.closed = self.closed  # what `Lines.sample` gives, unless told otherwise
            problems |= self.model.evaluate(lines, which, self._confidences, self.values, fitted)
        return problems

    @property
    def fitted_ns(self) -> Int64 | None:
        """(L,) ends of the newest intervals behind the fits, a copy; None: no fits are made."""
        return None if self.fits is None else self.fits.fitted_ns.copy()

    def due(self, ready: Int64, roll: int) -> Iterator[FitJob]:
        """Fits that are due on those of the `ready` lines that it serves; see `Fits.due`."""
        if self.fits is None:
            return iter(())
        if self.serves is not None:
            ready = ready[self.serves[ready]]
        return self.fits.due(self._lines, ready, roll, self.model, self._confidences)

    def take(self, job: FitJob, result: FitResult) -> None:
        """Use the result of a job from the next estimate on."""
        if self.fits is not None and self.fits.take(job, result):
            self._lines.dirty[job.line] |= layout.CHANGED | layout.CLOSED
