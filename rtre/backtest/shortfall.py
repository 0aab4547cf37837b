"""Tests of Expected Shortfall: are the losses beyond VaR as large as ES says?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, Self

import attrs
import numpy as np
import numpy.typing as npt
from scipy import special

from rtre.backtest.result import BacktestResult, as_series, check_count, direction_of
from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.gaussian import normal_factors
from rtre.models.student_t import t_factors
from rtre.order import tail_probability

#: Resampled values in memory at a time.
_AT_ONCE = 1_000_000

#: Begins the note of a test that could not divide by ES.
NOT_POSITIVE = "ES is not positive"


def _series(
    losses: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike
) -> tuple[Float64, Float64, Float64]:
    lost, quantile, shortfall = as_series(losses=losses, var=var, es=es)
    if not np.isfinite(shortfall).all() or not np.isfinite(lost).all():
        raise DataError("losses and ES must be finite to be compared")
    wrong = int(np.count_nonzero(shortfall < quantile))
    if wrong:
        raise DataError(f"ES is below VaR in {wrong} of {len(lost)} periods")
    return lost, quantile, shortfall


def z1_statistic(losses: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike) -> float:
    """``1 - mean of loss/ES over the exceedances``; 0 where there is none.

    Acerbi and Szekely, Backtesting expected shortfall, Risk (2014), test 1, in losses. Below zero
    when losses beyond VaR are larger than ES. Where an ES is not positive there is no ratio: a loss
    above it counts as infinitely large, which makes Z1 minus infinity, and any other as one.
    """
    lost, quantile, shortfall = _series(losses, var, es)
    ratios = _ratios(lost, quantile, shortfall)
    return 1.0 - float(np.mean(ratios)) if len(ratios) else 0.0


def z2_statistic(
    losses: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, confidence: float
) -> float:
    """``1 - sum of loss/ES over the exceedances / (n tail)``; 1 where there is none.

    Acerbi and Szekely (2014), test 2, in losses. Below zero when exceedances are too many, too
    large, or both; ``1 - Z2 = (1 - Z1) x / (n tail)``. Where an ES is not positive, as for Z1.
    """
    lost, quantile, shortfall = _series(losses, var, es)
    ratios = _ratios(lost, quantile, shortfall)
    return 1.0 - float(np.sum(ratios)) / (len(lost) * float(tail_probability(confidence)))


def _ratios(lost: Float64, quantile: Float64, shortfall: Float64) -> Float64:
    hit = lost > quantile
    loss, said = lost[hit], shortfall[hit]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = np.where(said > 0.0, loss / said, np.where(loss > said, math.inf, 1.0))
    return np.asarray(found)


def _tail_ratios(
    count: int, confidence: float, df: float | None, rng: np.random.Generator
) -> Float64:
    """Draw loss/ES given an exceedance, for a forecast that is right and has mean zero."""
    tail = float(tail_probability(confidence))
    rare = tail * (1.0 - rng.random(count))  # uniform in (0, tail]
    if df is None:
        return np.asarray(-special.ndtri(rare) / normal_factors(confidence)[1])
    return np.asarray(-special.stdtrit(df, rare) / t_factors(confidence, df)[1])


def simulate_z(
    n: int,
    confidence: float,
    draws: int,
    rng: np.random.Generator,
    *,
    statistic: Literal["z1", "z2"] = "z2",
    df: float | None = None,
) -> Float64:
    """Draw the statistic under a right forecast with normal or Student-t losses.

    Losses of mean zero are assumed; their scale may change from period to period, which neither
    statistic notices. Only exceedances are drawn (their number is binomial), so a draw costs n tail
    numbers, not n. A run without an exceedance has Z1 = 0.

    Parameters
    ----------
    n : int
        Periods.
    confidence : float
        Of VaR and ES.
    draws : int
    rng : numpy.random.Generator
    statistic : {"z1", "z2"}
    df : float, optional
        None: normal. Above 1: Student-t.

    Returns
    -------
    (draws,) float64
    """
    check_count(n, 0)
    if df is not None and not df > 1.0:
        raise DataError(f"ES exists for df above 1 only, got {df!r}")
    tail = float(tail_probability(confidence))
    counts = rng.binomial(n, tail, draws)
    ratios = _tail_ratios(int(np.sum(counts)), confidence, df, rng)
    ends = np.concatenate(([0.0], np.cumsum(ratios)))[np.concatenate(([0], np.cumsum(counts)))]
    sums = np.diff(ends)
    if statistic == "z1":
        return np.asarray(np.where(counts > 0, 1.0 - sums / np.maximum(counts, 1), 0.0))
    return np.asarray(1.0 - sums / (n * tail))


@attrs.frozen
class _State:
    """State of a generator, which can be a key."""

    key: tuple[Any, ...]
    state: Mapping[str, Any] = attrs.field(eq=False)

    @classmethod
    def of(cls, generator: np.random.BitGenerator) -> Self:
        state = generator.state
        return cls(_frozen(state), state)

    def generator(self) -> np.random.Generator:
        bits = getattr(np.random, self.state["bit_generator"])(0)
        bits.state = self.state
        return np.random.Generator(bits)


def _frozen(state: Any) -> Any:
    """Return nested mappings and arrays as tuples and bytes."""
    if isinstance(state, Mapping):
        return tuple((name, _frozen(value)) for name, value in state.items())
    return state.tobytes() if isinstance(state, np.ndarray) else state


@lru_cache(maxsize=32)
def _null(
    n: int,
    confidence: float,
    draws: int,
    statistic: Literal["z1", "z2"],
    df: float | None,
    before: _State,
) -> tuple[Float64, Mapping[str, Any]]:
    """Draw from a generator in a state; with the draws, sorted, its state after them.

    A backtest asks for the same draws for each model and line of one length: simulating them anew
    was most of its tests (120 ms of 122 for a battery; 2.5 ms with it). At most 32 are kept, 5 MB
    at the default number of draws.
    """
    rng = before.generator()
    drawn = np.sort(simulate_z(n, confidence, draws, rng, statistic=statistic, df=df))
    drawn.flags.writeable = False
    return drawn, rng.bit_generator.state


def null_draws(
    n: int,
    confidence: float,
    draws: int,
    rng: np.random.Generator,
    *,
    statistic: Literal["z1", "z2"] = "z2",
    df: float | None = None,
) -> Float64:
    """Return what `simulate_z` draws, sorted and read-only, simulated once for a generator's state.

    The generator ends in the same state as after `simulate_z`, so that what is drawn next does not
    depend on what was remembered.
    """
    kind = type(rng.bit_generator)
    if getattr(np.random, kind.__name__, None) is not kind:  # not one of numpy's own
        return np.sort(simulate_z(n, confidence, draws, rng, statistic=statistic, df=df))
    drawn, after = _null(n, confidence, draws, statistic, df, _State.of(rng.bit_generator))
    rng.bit_generator.state = after
    return drawn


def z_critical(
    n: int,
    confidence: float,
    level: float = 0.05,
    *,
    rng: np.random.Generator,
    statistic: Literal["z1", "z2"] = "z2",
    df: float | None = None,
    draws: int = 100_000,
) -> float:
    """Critical value of Z1 or Z2: a right forecast falls below it with probability `level`.

    Acerbi and Szekely (2014) print a table of it: near -0.70 in 250 periods at 97.5 % and 5 %,
    whatever the tail. Parameters as for `acerbi_szekely`.
    """
    if not 0.0 < level < 1.0:
        raise DataError(f"level must lie between 0 and 1, got {level!r}")
    drawn = null_draws(n, confidence, draws, rng, statistic=statistic, df=df)
    return float(np.quantile(drawn, level))


def acerbi_szekely(
    losses: npt.ArrayLike,
    var: npt.ArrayLike,
    es: npt.ArrayLike,
    confidence: float,
    *,
    rng: np.random.Generator,
    statistic: Literal["z1", "z2"] = "z2",
    df: float | None = None,
    draws: int = 20_000,
) -> BacktestResult:
    """Test ES with Z1 or Z2 and a simulated p-value, one-sided: small statistics reject.

    Z1 looks at the size of the exceedances alone, so test VaR first; Z2 at number and size.

    Parameters
    ----------
    losses, var, es : (n,) array_like
        Losses and the forecasts made before them; ``es >= var``.
    confidence : float
        Of both forecasts.
    rng : numpy.random.Generator
        Of the simulation: the same generator state gives the same p-value.
    statistic : {"z1", "z2"}
    df : float, optional
        Law of the losses if the forecast is right: None normal, else Student-t. It moves the
        critical value (5 % in 250 periods at 97.5 %: -0.70 normal, -0.81 for df = 3).
    draws : int
        The p-value is ``(1 + number of draws at or below the statistic) / (1 + draws)``.

    Notes
    -----
    An ES that is not positive where a loss beat VaR, as after a calm without a single loss, makes
    the statistic minus infinity where the loss is above ES too: the p-value is the least there is.
    """
    if statistic not in ("z1", "z2"):
        raise DataError(f"statistic must be z1 or z2, got {statistic!r}")
    lost, quantile, shortfall = _series(losses, var, es)
    n, x = len(lost), int(np.count_nonzero(lost > quantile))
    if statistic == "z1":
        value = z1_statistic(losses, var, es)
    else:
        value = z2_statistic(losses, var, es, confidence)
    drawn = null_draws(n, confidence, draws, rng, statistic=statistic, df=df)
    p_value = (1.0 + int(np.searchsorted(drawn, value, "right"))) / (1.0 + draws)
    note = ""
    if statistic == "z1" and x == 0:
        p_value, note = 1.0, "no exceedance: the size of losses beyond VaR cannot be tested"
    elif without := int(np.count_nonzero((lost > quantile) & (shortfall <= 0.0))):
        note = f"{NOT_POSITIVE} in {without} of {x} exceedances: a loss above it counts as infinite"
    law = f"simulated, {draws} draws, {'normal' if df is None else f't({df:g})'}"
    return BacktestResult(
        f"acerbi-szekely-{statistic}",
        value,
        p_value,
        law,
        direction_of(0.0, value),
        {"n": n, "x": x, "confidence": confidence},
        note,
    )


def _near_one(values: Float64, scale: Float64) -> Float64:
    """``values / scale`` times the power of two that brings the largest near one.

    A studentised mean is the same for any multiple; squares neither overflow nor vanish.
    """
    (top, up), (bottom, down) = np.frexp(values), np.frexp(scale)
    power = np.where(top == 0.0, np.iinfo(np.int32).min // 2, up - down)
    return np.asarray(np.ldexp(top / bottom, np.maximum(power - np.max(power), -2000)))


def _studentised(values: Float64) -> float:
    """``mean / (sd / sqrt(m - 1))`` with the population sd; inf with the sign where sd is 0."""
    mean, sd = float(np.mean(values)), float(np.std(values))
    if float(np.min(values)) == float(np.max(values)) or not sd:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / (sd / math.sqrt(len(values) - 1))


def exceedance_residuals(
    losses: npt.ArrayLike,
    var: npt.ArrayLike,
    es: npt.ArrayLike,
    *,
    scale: npt.ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    draws: int = 10_000,
) -> BacktestResult:
    """McNeil and Frey (2000): losses beyond VaR exceed ES by zero on average.

    The residuals ``(loss - ES) / scale`` of the exceedances have mean zero if ES is right; the
    test is one-sided against a positive mean (ES too low). The statistic is the mean over its
    standard error, ``sd / sqrt(m - 1)`` with divisor m in sd, as in the R package rugarch.

    Parameters
    ----------
    losses, var, es : (n,) array_like
    scale : (n,) array_like, optional
        Volatility forecasts, or what they are a multiple of, to make residuals of calm and wild
        times comparable. None: raw.
    rng : numpy.random.Generator, optional
        None: normal p-value. A generator: bootstrap of the centred residuals, which is better for
        the few, skew values that exceedances are.
    draws : int
        Of the bootstrap.

    Notes
    -----
    With fewer than two exceedances there is no standard error: statistic 0, p-value 1.
    """
    lost, quantile, shortfall = _series(losses, var, es)
    hit = lost > quantile
    values, sigma = 0.5 * lost[hit] - 0.5 * shortfall[hit], np.ones(int(np.count_nonzero(hit)))
    if scale is not None:
        sigma = as_series(scale=scale, losses=losses)[0][hit]
        if np.any(sigma <= 0.0) or np.any(np.isinf(sigma)):
            raise DataError("scale must be positive and finite in a period with an exceedance")
    m = len(values)
    inputs = {"n": len(lost), "x": m}
    name = "exceedance-residuals"
    if m < 2:
        note = f"{m} exceedances: a mean needs at least two to have an error"
        return BacktestResult(name, 0.0, 1.0, "normal(0, 1)", "in line", inputs, note)
    values = _near_one(values, sigma)
    statistic = _studentised(values)
    direction = direction_of(float(np.mean(values)), 0.0)
    if rng is None:
        p_value = float(special.ndtr(-statistic))
        return BacktestResult(name, statistic, p_value, "normal(0, 1)", direction, inputs)
    p_value = _bootstrapped(values, statistic, draws, rng)
    law = f"bootstrap, {draws} draws"
    return BacktestResult(name, statistic, p_value, law, direction, inputs)


def _bootstrapped(values: Float64, statistic: float, draws: int, rng: np.random.Generator) -> float:
    """Share of resamples of the centred values whose studentised mean is as large."""
    m, above = len(values), 0
    centred = values - float(np.mean(values))
    rows = max(1, _AT_ONCE // m)
    for start in range(0, draws, rows):
        picked = centred[rng.integers(0, m, (min(rows, draws - start), m))]
        means, sds = np.mean(picked, axis=1), np.std(picked, axis=1)
        # a resample of one value over and over has no spread: it counts as far out, with its sign
        wide = np.where(sds > 0.0, sds, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            drawn = means / wide * math.sqrt(m - 1)
        above += int(np.count_nonzero(drawn >= statistic))
    return (1.0 + above) / (1.0 + draws)
