"""The slow half of a model: fits, made now and then, kept, and reused until they are too old.

An engine never waits for a fit unless it is told to. It says which are due (`Fits.due`), somebody
runs them, in a worker thread as a rule (`FitJob.run` touches nothing but its own sample), and hands
the results back (`Fits.take`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from rtre.errors import DataError
from rtre.market import Float64, Int64
from rtre.models.base import Model, blamed
from rtre.windows.lines import Lines

RETRY = 10  #: a fit that failed is tried again after this part of `refit_every`


@attrs.frozen
class FitResult:
    """What a fit gave: parameters, or the reason why there are none."""

    fitted: Any
    problem: str


@attrs.frozen(eq=False)
class FitJob:
    """One fit to be made: a copy of a line's sample, and what to do with it.

    Attributes
    ----------
    line : int
    name : str
        Of the line.
    as_of_ns : int
        End of the newest interval in the sample, nanoseconds since the epoch.
    """

    line: int
    as_of_ns: int
    roll: int = attrs.field(repr=False)
    model: Model = attrs.field(repr=False)
    confidences: tuple[float, ...] = attrs.field(repr=False)
    sample: Float64 = attrs.field(repr=False)
    name: str = ""

    def run(self) -> FitResult:
        """Fit. Pure: may run in any thread; the same job gives the same result.

        Raises
        ------
        ModelError
            The model did, and not by a DataError of its fit, which is a reason to have none.
        """
        with blamed(self.model, self.name):
            try:
                fitted = self.model.fit(self.sample)
            except DataError as error:
                return FitResult(None, str(error))
            if fitted is not None:
                return FitResult(fitted, "")
            # nothing to fit, or not possible: the estimate knows which
            tails = self.model.estimate(self.sample, self.confidences)
        return FitResult(None, next((tail.problem for tail in tails if tail.problem), ""))


class Fits:
    """The fits of all lines of one engine.

    Parameters
    ----------
    every : int
        Grid intervals after which a fit is due again.

    Attributes
    ----------
    values : dict
        Line to what `Model.fit` gave.
    problems : dict
        Line to the reason why its fit failed.
    fitted_ns : (L,) int64
        `FitJob.as_of_ns` of the fit in use, 0 = none.
    """

    def __init__(self, n_lines: int, every: int) -> None:
        self.values: dict[int, Any] = {}
        self.problems: dict[int, str] = {}
        self.fitted_ns = np.zeros(n_lines, np.int64)
        self._every = every
        self._due = np.zeros(n_lines, np.int64)  # number of the roll from which a fit is due
        self._out: dict[int, FitJob] = {}

    def due(
        self, lines: Lines, ready: Int64, roll: int, model: Model, confidences: tuple[float, ...]
    ) -> Iterator[FitJob]:
        """Jobs for those `ready` lines whose fit is missing or old; the longest overdue first.

        A line has one job out at a time.
        """
        wanted = ready[self._due[ready] <= roll]
        as_of_ns = lines.open_interval * lines.interval_ns
        for line in wanted[np.argsort(self._due[wanted], kind="stable")].tolist():
            if line not in self._out:
                sample = model.fit_sample(lines, line)
                job = FitJob(line, as_of_ns, roll, model, confidences, sample, lines.names[line])
                self._out[line] = job
                yield job

    def take(self, job: FitJob, result: FitResult) -> bool:
        """Use a result from now on; whether it was waited for."""
        if self._out.get(job.line) is not job:
            return False
        del self._out[job.line]
        line, wait = job.line, self._every
        if result.problem:
            wait = max(1, wait // RETRY)
            self.values.pop(line, None)
            self.problems[line] = result.problem
            self.fitted_ns[line] = 0
        else:
            self.values[line] = result.fitted
            self.problems.pop(line, None)
            self.fitted_ns[line] = job.as_of_ns
        self._due[line] = job.roll + wait
        return True
