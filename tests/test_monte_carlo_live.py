"""Monte Carlo in a live engine: books by the joint law of their assets, symbols by their own."""

from __future__ import annotations

import numpy as np
import pytest
from engine_support import SECOND, START, make_engine, walk

from rtre.market import TickBatch
from rtre.models.monte_carlo import JointFit, MonteCarlo


def test_a_live_book_is_simulated_from_the_returns_of_its_assets() -> None:
    parameters = {"law": "t", "copula": "t", "df": 4.0, "draws": 2000, "seed": 3}
    engine = make_engine(
        "monte-carlo", parameters=parameters, window=80, min_obs=50,
        options={"inline_fits": False},
    )  # fmt: skip
    engine.update(walk(90))
    jobs = engine.fit_jobs()
    shapes = {engine.lines.names[job.line]: job.sample.shape for job in jobs}
    assert shapes["A"] == shapes["short"] == (79,), "one asset: its P&L is all there is to know"
    assert shapes["hedged"] == (2, 79)
    for job in jobs:
        engine.take_fit(job, job.run())
    assert isinstance(engine.fitted[engine.lines.names.index("hedged")], JointFit)
    report = engine.report(START + 90 * SECOND)
    line = report["hedged"]
    returns = engine.lines.returns[:2, (engine.lines.oldest + np.arange(79)) % 80]
    held = np.array([10.0, -5.0]) * engine.lines.prices[:2, 0]
    want = MonteCarlo(**parameters).estimate_book(  # type: ignore[arg-type]
        held, returns, engine.config.confidence
    )
    for estimate, tail in zip(line.estimates, want, strict=True):
        # marked at the close of the interval, while `held` is at the last price
        assert estimate.var == pytest.approx(tail.var, rel=0.05)
        assert estimate.es == pytest.approx(tail.es, rel=0.05)


def test_a_live_book_that_cannot_be_fitted_shows_the_reason() -> None:
    engine = make_engine(
        "monte-carlo", parameters={"law": "t", "df": 4.0, "draws": 1000}, window=80, min_obs=50
    )
    batch = walk(90)
    prices = batch.price.copy()
    prices[batch.asset == 0] = np.repeat([100.0, 101.0], [170, 10])
    engine.update(TickBatch.of(batch.asset, prices, batch.ts_event_ns))
    assert "equal" in engine.report(START + 90 * SECOND)["hedged"].problem


@pytest.mark.parametrize("closed", [True, False])
def test_the_returns_of_a_books_assets_add_up_to_its_sample(closed: bool) -> None:
    engine = make_engine(window=30)
    batch = walk(50)
    kept = np.random.default_rng(4).random(len(batch)) > 0.4  # intervals without a trade: masked
    engine.update(TickBatch.of(batch.asset[kept], batch.price[kept], batch.ts_event_ns[kept]))
    lines = engine.lines
    for book, units in ((3, [10.0, -5.0]), (4, [-2.0])):
        assets, exposures, returns = lines.book_sample(book, closed=closed)
        sample = lines.sample(book, closed=closed)
        assert assets.tolist() == ([0, 1] if book == 3 else [1])
        assert returns.shape == (len(units), len(sample))
        assert 5 < len(sample) < 30
        # two terms in another order, of the size of the larger
        np.testing.assert_allclose(exposures @ returns, sample, rtol=1e-12, atol=1e-13)
    assert exposures[0] == -2.0 * lines.prices[1, 3 if closed else 0]
