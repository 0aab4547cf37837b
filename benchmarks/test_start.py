"""From nothing to first results: cold, with every kernel compiled, and warm (gate 18).

``pytest benchmarks/test_start.py -s``. Each start is a process of its own with a cache folder of
its own. The goals are seconds on a fast, quiet machine (1.5 warm, 40 cold), so "theirs" is one
second and the ratio reads in seconds; beside it stands what ``import numba`` takes in the same run,
which is the measure of the machine. On a busy machine read the CPU seconds: wall time there counts
the waiting.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import attrs

from gates import gate

#: Every kernel of the package is reached: by a live run, then by each window and model.
_FIRST_RESULTS = """
import numpy as np
from rtre.warm import kernels, warm_up
from rtre.config import RiskConfig
for model in ("historical", "gaussian", "ewma", "student-t", "volatility-weighted"):
    warm_up(RiskConfig(model=model))
from rtre.models.common_draws import CommonDraws
from rtre.models.garch import GarchFit, garch_loglik, garch_variances
from rtre.windows.covariance import EwmaCovariance
from rtre.windows.rolling_moments import RollingMoments
from rtre.windows.variance_panel import VariancePanel
x = np.linspace(-1.0, 1.0, 8)
moments = RollingMoments(4)
moments.push(1.0)
moments.push_many(x)
covariance = EwmaCovariance(8, 0.94)
covariance.update(x)
covariance.update_row(1, 0.5)
covariance.variance_of(x)
covariance.to_dense()
VariancePanel.ewma(np.ones(8), decay=0.94).update(x)
fit = GarchFit(0.0, 0.02, 0.05, 0.0, 0.9)
garch_variances(x, fit)
garch_loglik(x, fit)
CommonDraws(8, 1000).estimate(x, [0.99])
print(sum(1 for signatures in kernels().values() if signatures), len(kernels()))
"""


@attrs.frozen
class Start:
    """Wall and CPU seconds of a process, and what it printed."""

    wall: float
    cpu: float
    printed: str


def start(script: str, cache: Path) -> Start:
    root = Path(__file__).resolve().parents[1]
    env = os.environ | {"RTRE_CACHE_DIR": str(cache), "PYTHONPATH": str(root)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # sources compiled by Python are kept, as is usual
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Start(wall, cpu, done.stdout)


def test_start(tmp_path: Path) -> None:
    cold = start(_FIRST_RESULTS, tmp_path)
    warm, numba = [], []
    for _ in range(5):
        warm.append(start(_FIRST_RESULTS, tmp_path))
        numba.append(start("import numba", tmp_path))
    used, known = cold.printed.split()
    print(f"\n{used} of {known} kernels used, from nothing to first results:")
    for what, took, limit in (("cold compile", [cold], 40.0), ("warm start", warm, 1.5)):
        wall = statistics.median(s.wall for s in took)
        cpu = statistics.median(s.cpu for s in took)
        print(f"{what}: {wall:.2f} s, of them on the CPU {cpu:.2f} s")
        gate(18, what, peer="one second", ours=wall, theirs=1.0, limit=limit, unit="s")
        gate(18, f"{what}, CPU", peer="one second", ours=cpu, theirs=1.0, limit=None, unit="s")
        gate(18, f"{what}, CPU", peer="import numba", ours=cpu,
             theirs=statistics.median(s.cpu for s in numba), limit=None, unit="s")  # fmt: skip
