from __future__ import annotations

import inspect
import json
from typing import Any

import attrs
import numpy as np
import pytest
from panels import make_panel

from rtre import names
from rtre.backtest.prices import PricePanel
from rtre.backtest.report_json import to_dict, to_json
from rtre.backtest.rolling import JUMP, held_pnl, panel_ticks, roll_panel
from rtre.backtest.run import CAPITAL, run_backtest, units_of_weights
from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.errors import DataError, UnknownNameError
from rtre.market import Universe
from rtre.models.base import Model
from rtre.units import Duration

BOOK = {"portfolio": {"S0": 2.0, "S1": -1.0, "S2": 3.0}}
LEVELS = (0.99, 0.975)
DAY = Duration.parse("1d")


def model_of(name: str) -> Model:
    kind = names.find("models", name)
    accepted = inspect.signature(kind).parameters
    small = {k: v for k, v in (("draws", 1000), ("min_exceedances", 8)) if k in accepted}
    model: Model = kind(**small)
    return model


def as_tick_model(model: Model) -> Model:
    """Make a live engine ask the model about the newest interval too; here it is complete."""
    if model.cadence == "tick":
        return model
    kind: Any = type("Eager", (type(model),), {"cadence": "tick"})
    eager: Model = kind(**{a.name: getattr(model, a.name) for a in attrs.fields(type(model))})
    return eager


@pytest.mark.parametrize("name", names.available("models"))
def test_forecasts_are_the_reports_of_the_live_engine_bit_for_bit(name: str) -> None:
    model, refit = model_of(name), 7
    min_obs = max(100, model.min_obs)
    window = min_obs + 30
    panel = make_panel(window + 20, holes=6)
    found = roll_panel(
        panel, BOOK, [model_of("historical"), model], LEVELS,
        window=window, min_obs=min_obs, refit_every=refit, per_symbol=True,
    )  # fmt: skip
    config = RiskConfig(
        refit_every=refit,
        confidence=LEVELS, window=window, min_obs=min_obs, interval=DAY, trading_day=DAY,
        jump=JUMP, confirm=1,
    )  # fmt: skip
    engine = RiskEngine(Universe(panel.symbols), BOOK, config, as_tick_model(model))
    batch, bounds = panel_ticks(panel)
    compared = 0
    for t in range(len(panel)):
        if t > window:
            report = engine.report(t * DAY)
            for line in found:
                row = report.values[report.index[line.name]]
                np.testing.assert_array_equal(line.var[1, t - window - 1], row[:, 0])
                np.testing.assert_array_equal(line.es[1, t - window - 1], row[:, 1])
                compared += int(np.isfinite(row[:, 0]).all())
        engine.update(batch[bounds[t] : bounds[t + 1]])
    assert compared > 30


def test_the_future_does_not_move_a_forecast() -> None:
    panel = make_panel(150)
    models = [model_of(n) for n in ("historical", "ewma", "volatility-weighted", "student-t")]
    changed = panel.prices.copy()
    cut = 140
    changed[cut:] *= np.random.default_rng(1).uniform(0.5, 2.0, changed[cut:].shape)
    changed[cut + 3 :, 1] = np.nan
    other = PricePanel(panel.symbols, panel.dates, changed)
    one, two = (
        roll_panel(p, BOOK, models, LEVELS, window=100, min_obs=50, refit_every=5, per_symbol=True)
        for p in (panel, other)
    )
    known = cut - 101 + 1  # the forecast for row `cut` itself is made before its prices
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.var[:, :known], b.var[:, :known])
        np.testing.assert_array_equal(a.es[:, :known], b.es[:, :known])
        np.testing.assert_array_equal(a.losses[: known - 1], b.losses[: known - 1])
        assert a.losses[known - 1] != b.losses[known - 1]
        assert not np.array_equal(a.var[:, known], b.var[:, known])


def test_a_forecast_is_the_models_estimate_of_the_window_before_it() -> None:
    panel, window = make_panel(140), 100
    model = model_of("historical")
    (book,) = roll_panel(panel, BOOK, [model], LEVELS, window=window, min_obs=50)
    units = np.array([2.0, -1.0, 3.0])
    returns = panel.prices[1:] / panel.prices[:-1] - 1.0
    for row in range(len(book.losses)):
        t = window + 1 + row
        assert book.dates[row] == panel.dates[t]
        pnl = returns[t - 1 - window : t - 1] @ (units * panel.prices[t - 1])
        for c, tail in enumerate(model.estimate(pnl, LEVELS)):
            # sums in another order: 3 terms, so some units in the last place
            assert book.var[0, row, c] == pytest.approx(tail.var, rel=1e-12)
            assert book.es[0, row, c] == pytest.approx(tail.es, rel=1e-12)
        loss = units @ (panel.prices[t - 1] - panel.prices[t])
        assert book.losses[row] == pytest.approx(loss, rel=1e-9)


def test_a_missing_price_masks_two_outcomes_and_no_more() -> None:
    panel = make_panel(140)
    panel.prices[120, 1] = np.nan
    (book,) = roll_panel(panel, BOOK, [model_of("historical")], (0.99,), window=100, min_obs=50)
    assert np.flatnonzero(np.isnan(book.losses)).tolist() == [120 - 101, 121 - 101]
    assert not np.isnan(book.var).any()
    result = run_backtest(panel, BOOK, window=100)
    (verdict,) = result.books[0].verdicts
    assert verdict.n == 37
    assert verdict.skipped == {
        "no outcome: a held price is missing on the day or the day before": 2
    }


def test_a_row_without_any_price_is_a_hole_not_a_crash() -> None:
    panel = make_panel(140)
    panel.prices[110] = np.nan
    (book,) = roll_panel(panel, BOOK, [model_of("ewma")], (0.99,), window=100, min_obs=50)
    assert np.flatnonzero(np.isnan(book.losses)).tolist() == [9, 10]
    assert not np.isnan(book.var).any()


def test_too_few_observations_give_no_forecast_and_the_reason() -> None:
    panel = make_panel(140)
    panel.prices[:60, 0] = np.nan
    result = run_backtest(panel, BOOK, ("historical",), (0.99,), window=100, min_obs=80)
    (verdict,) = result.books[0].verdicts
    assert verdict.n == 0
    assert verdict.skipped == {"fewer than 80 observations": 39}
    assert verdict.tests == ()
    assert result.books[0].tournaments[0].entries == ()
    json.dumps(to_dict(result), allow_nan=False)


def test_pnl_is_summed_over_held_symbols_only() -> None:
    prices = np.array([[1.0, np.nan], [3.0, np.nan], [2.0, 5.0]])
    pnl, gross = held_pnl(prices, np.array([-2.0, 0.0]))
    assert pnl.tolist() == [-4.0, 2.0]
    assert gross.tolist() == [2.0, 6.0]


def test_verdicts_and_tournament_agree_with_the_forecasts() -> None:
    models = ("historical", "ewma", "volatility-weighted")
    result = run_backtest(make_panel(400), None, models, LEVELS, window=100)
    (line,) = result.lines
    assert result.described == "one share of each symbol"
    assert [(v.confidence, v.model) for v in line.verdicts] == [
        (c, m) for c in LEVELS for m in models
    ]
    for c, confidence in enumerate(LEVELS):
        for m, verdict in enumerate(line.at(confidence)):
            assert verdict.x == int((line.forecasts.losses > line.forecasts.var[m, :, c]).sum())
            assert verdict.n == 299
            assert verdict.light is not None
            assert (verdict.light.n, verdict.light.x) == (299, verdict.x)
            assert verdict.year is not None
            assert verdict.year.n == 250
            kupiec = verdict.test("kupiec-pof")
            assert kupiec is not None
            assert kupiec.inputs["x"] == verdict.x
        ranking = line.tournaments[c]
        means = [entry.mean for entry in ranking.entries]
        assert means == sorted(means)
        assert ranking.entries[0].against_best is None
        for entry in ranking.entries[1:]:
            assert entry.against_best is not None
            assert entry.against_best.difference == pytest.approx(entry.mean - means[0])


def test_the_same_run_gives_the_same_bits_whichever_models_are_beside_it() -> None:
    panel = make_panel(200)
    together = run_backtest(panel, None, ("historical", "student-t"), LEVELS, window=100)
    alone = run_backtest(panel, None, ("student-t",), LEVELS, window=100)
    a = [v for v in together.lines[0].verdicts if v.model == "student-t"]
    for one, other in zip(a, alone.lines[0].verdicts, strict=True):
        assert one.tests == other.tests
        assert one.fz0 == other.fz0


def test_weights_buy_units_before_the_first_forecast() -> None:
    panel = make_panel(140)
    panel.prices[100, 1] = np.nan
    units = units_of_weights(panel, {"S1": -0.25, "S0": 1.25}, 100)
    assert units == {
        "S0": 1.25 * CAPITAL / panel.prices[100, 0],
        "S1": -0.25 * CAPITAL / panel.prices[99, 1],
    }
    panel.prices[:120, 2] = np.nan
    with pytest.raises(DataError, match="S2 has no price in the first 101 rows"):
        units_of_weights(panel, {"S2": 1.0}, 100)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"models": ("nope",)}, UnknownNameError, "no model named 'nope'; there is"),
        ({"models": ()}, DataError, "at least one model"),
        ({"confidences": (1.5,)}, DataError, "between 0.5 and 1"),
        ({"window": 1}, DataError, "window"),
        ({"window": 139}, DataError, "140 rows are too few for a window of 139"),
        ({"window": 100, "min_obs": 101}, DataError, "at most the window, 100; got 101"),
        ({"window": 100, "refit_every": 0}, DataError, "refit_every"),
        ({"window": 100, "books": {"b": {"X": 1.0}}}, DataError, "'X': no such column"),
        ({"window": 100, "books": {"S0": {"S0": 1.0}}}, DataError, "books named like a symbol"),
    ],
)
def test_wrong_settings_are_refused(
    change: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as found:
        run_backtest(make_panel(140), **change)
    assert told in str(found.value)


def test_json_has_a_stable_schema_and_no_number_that_json_lacks() -> None:
    result = run_backtest(make_panel(220, holes=3), None, ("historical", "ewma"), window=100)
    found = json.loads(to_json(result))
    assert list(found) == ["schema", "prices", "books", "settings", "lines"]
    assert found["schema"] == 1
    (line,) = found["lines"]
    assert list(line) == ["name", "is_book", "results", "tournaments"]
    first = line["results"][0]
    assert list(first) == [
        "model", "confidence", "n", "skipped", "exceedances", "expected", "dates",
        "traffic_light", "traffic_light_last_year", "tests", "e_process", "scores", "notes",
    ]  # fmt: skip
    assert len(first["dates"]) == first["exceedances"]
    assert set(first["tests"]["kupiec-pof"]) == {
        "statistic", "p_value", "law", "direction", "rejected", "note",
    }  # fmt: skip
    assert set(first["e_process"]["var"]) == {"max", "rejected_at", "rejected_on"}


def test_a_model_that_looks_several_rows_ahead_has_no_outcome_to_be_held_against() -> None:
    model = names.find("models", "filtered")(steps=10)
    with pytest.raises(DataError, match="filtered looks 10 observations ahead"):
        roll_panel(make_panel(), BOOK, [model], LEVELS, window=100, min_obs=50)
