"""Random numbers by index: heavy-tailed noise in volatility clusters, as a pure function.

A counter-based generator (Philox) gives number i of a stream without those before it. So any
stretch of a path can be made at any time, in any order, with the same bits.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from rtre.market import Float64

_LOG_VOL = 0.45  # half-width of each scale of log volatility, in units of sqrt(3)
_MAX_SHOCK = 25.0  # standard deviations; beyond, the t tail makes prices nobody has seen


def stream_key(*parts: object) -> int:
    """The 128-bit key of the stream that these parts name, the same in every process."""
    text = "|".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def uniforms(key: int, first: int, count: int) -> Float64:
    """Numbers `first` to ``first + count`` of the stream `key`, each in the open (0, 1)."""
    lead = first % 4  # Philox makes four numbers for one value of its counter
    rng = np.random.Generator(np.random.Philox(key=key, counter=first // 4))
    return rng.random(lead + count)[lead:] + 2.0**-54


def student(probability: Float64) -> Float64:
    """Quantiles of Student's t with 4 degrees of freedom, scaled to variance one.

    The closed form for 4 degrees of freedom: W. T. Shaw, "Sampling Student's T distribution",
    Journal of Computational Finance 9(4), 2006, section 2.
    """
    root = np.sqrt(np.clip(4.0 * probability * (1.0 - probability), 1e-16, 1.0))
    size = np.sqrt(np.maximum(np.cos(np.arccos(root) / 3.0) / root - 1.0, 0.0)) * math.sqrt(2.0)
    return np.copysign(np.minimum(size, _MAX_SHOCK), probability - 0.5)


def _mean_square_volatility() -> float:
    """E[exp(2 v)] of one scale of log volatility v, over shocks and the place between two knots."""
    place = (np.arange(1000) + 0.5) / 1000
    bound = 2.0 * _LOG_VOL * math.sqrt(3.0)
    left, right = bound * place, bound * (1.0 - place)
    return float(np.mean(np.sinh(left) / left * np.sinh(right) / right))


_NORM = 1.0 / _mean_square_volatility()  # two scales, square root: one over the mean square


class Noise:
    """Unit-variance, heavy-tailed noise in volatility clusters; a pure function of the index."""

    def __init__(self, seed: int, name: str, step_ns: int) -> None:
        self._shocks = stream_key(seed, name, step_ns, "shocks")
        # Clusters of 13 s and 3.4 min where steps are short; of 16 and 256 steps where long.
        length = max(16, round(12.8e9 / step_ns))
        self._scales = [
            (stream_key(seed, name, step_ns, "volatility", i), n)
            for i, n in enumerate((length, 16 * length))
        ]

    def at(self, first: int, count: int) -> Float64:
        """Values `first` to ``first + count``; `first` from 0 up. Cost: 40 us and 0.1 us each."""
        index = np.arange(first, first + count, dtype=np.float64)
        log_vol = np.zeros(count)
        for key, length in self._scales:
            start = first // length
            knots = uniforms(key, start, (first + count) // length - start + 2)
            log_vol += np.interp(index / length - start, np.arange(len(knots)), 2.0 * knots - 1.0)
        volatility = np.exp(_LOG_VOL * math.sqrt(3.0) * log_vol) * _NORM
        return student(uniforms(self._shocks, first, count)) * volatility
