"""How long to wait before connecting again."""

from __future__ import annotations

import random

import attrs


@attrs.define
class Backoff:
    """Capped exponential delays with full jitter.

    Full jitter (a uniform draw between nothing and the present ceiling) spreads a thousand clients
    that lost the same venue over the whole ceiling. The ceiling falls back only after a connection
    has given useful data for a while: one that dies at once does not count as a success.

    Attributes
    ----------
    base_s, cap_s : float
        First ceiling, and the highest.
    settled_s : float
        Seconds of useful data after which the ceiling falls back to `base_s`.
    """

    rng: random.Random
    base_s: float = 1.0
    cap_s: float = 30.0
    settled_s: float = 30.0
    _failures: int = 0

    def next_delay(self, useful_s: float = 0.0) -> float:
        """Seconds to wait after a connection that gave data for `useful_s` seconds."""
        if useful_s >= self.settled_s:
            self._failures = 0
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return self.rng.uniform(0.0, ceiling)
