"""One asset, no Trio, no network: ticks in, a report out.

python examples/one_asset.py
"""

import numpy as np

from rtre import RiskConfig, RiskEngine, TickBatch, Universe

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

engine = RiskEngine(
    Universe(("AAPL",)),
    books={"portfolio": {"AAPL": 100}},
    config=RiskConfig(window=500, confidence=(0.95, 0.99)),
)

# Ten minutes of two trades a second, as one batch of columns.
rng = np.random.default_rng(1)
times = START + np.arange(1200) * SECOND // 2
prices = 190.0 * np.exp(np.cumsum(rng.standard_t(4, 1200) * 5e-5))
engine.update(TickBatch.of(asset=0, price=prices, ts_event_ns=times))

report = engine.report(now_ns=int(times[-1]))
for line in report:
    for e in line.estimates:
        print(
            f"{line.name:10} {e.confidence:.0%} over {e.horizon.label}: "
            f"VaR {e.var:,.2f} [{e.var_low:,.2f}, {e.var_high or float('inf'):,.2f}], "
            f"ES {e.es:,.2f} ± {e.es_se:,.2f}, {e.n_obs} observations, {line.quality.label}"
        )
