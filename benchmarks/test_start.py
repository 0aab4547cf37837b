"""From nothing to first results: cold, with every kernel compiled, and warm (gate 18).

``pytest benchmarks/test_start.py -s``. Each start is a process of its own with a cache folder of
its own. The goals are seconds on a fast, quiet machine (1.5 warm, 40 cold), so "theirs" is one
second and the ratio reads in seconds; beside it stands what ``import numba`` takes in the same run,
which is the measure of the machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

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


def seconds(script: str, cache: Path) -> tuple[float, str]:
    root = Path(__file__).resolve().parents[1]
    env = os.environ | {"RTRE_CACHE_DIR": str(cache), "PYTHONPATH": str(root)}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - begun, done.stdout


def test_start(tmp_path: Path) -> None:
    cold, used = seconds(_FIRST_RESULTS, tmp_path)
    warm, numba = [], []
    for _ in range(5):
        warm.append(seconds(_FIRST_RESULTS, tmp_path)[0])
        numba.append(seconds("import numba", tmp_path)[0])
    ours, theirs = statistics.median(warm), statistics.median(numba)
    ready, known = used.split()
    print(f"\n{ready} of {known} kernels used; cold {cold:.1f} s, warm {ours:.2f} s, "
          f"import numba {theirs:.2f} s")  # fmt: skip
    for what, took, limit in (("warm start", ours, 1.5), ("cold compile", cold, 40.0)):
        gate(18, what, peer="one second", ours=took, theirs=1.0, limit=limit, unit="s")
        gate(18, what, peer="import numba", ours=took, theirs=theirs, limit=None, unit="s")
