"""Monte Carlo: against the closed forms it simulates, and the joint law of several assets."""

from __future__ import annotations

import math
from typing import Literal

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.errors import DataError
from rtre.models.gaussian import Gaussian
from rtre.models.historical import Historical
from rtre.models.monte_carlo import MonteCarlo
from rtre.models.monte_carlo_joint import covariance_root, joint_returns, simulated_pnl
from rtre.models.student_t import StudentT, fit_t


def test_draws_agree_with_the_closed_forms() -> None:
    pnl = 2.0 + 3.0 * np.random.default_rng(1).standard_t(5.0, 800)
    for model, exact in (
        (MonteCarlo(draws=400_000), Gaussian()),
        (MonteCarlo(law="t", draws=400_000), StudentT()),
        (MonteCarlo(law="t", df=4.0, draws=400_000), StudentT(df=4.0)),
    ):
        got, want = (m.estimate(pnl, [0.99])[0] for m in (model, exact))
        # four standard errors of the draws, as the model itself gives them
        assert abs(got.es - want.es) < 4.0 * got.es_se
        assert got.var_low <= got.var <= got.var_high
        assert abs(got.var - want.var) < 2.0 * (got.var_high - got.var_low)


def test_a_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    pnl = np.random.default_rng(2).normal(size=100)
    first, again, other = (MonteCarlo(seed=s).estimate(pnl, [0.99])[0] for s in (1, 1, 2))
    assert first == again
    assert first.var != other.var


def test_a_law_without_a_mean_has_an_infinite_es() -> None:
    pnl = np.random.default_rng(3).standard_cauchy(500)
    tail = MonteCarlo(law="t", df=0.8).estimate(pnl, [0.99])[0]
    assert math.isfinite(tail.var)
    assert tail.es == math.inf


@pytest.mark.parametrize("confidence", [0.6, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize(("law", "df"), [("normal", None), ("t", 3.5), ("t", None)])
def test_the_kept_draws_give_what_drawing_anew_gives(
    law: Literal["normal", "t"], df: float | None, confidence: float
) -> None:
    pnl = 0.3 + 2.0 * np.random.default_rng(8).standard_t(5.0, 300)
    model = MonteCarlo(law=law, df=df, draws=5000, seed=4)
    rng = np.random.default_rng(4)
    if law == "normal":
        drawn = np.mean(pnl) + np.std(pnl, ddof=1) * rng.standard_normal(5000)
    else:
        fit = fit_t(pnl, df)
        assert not isinstance(fit, str)
        drawn = fit.loc + fit.scale * rng.standard_t(fit.df, 5000)
    want = attrs.astuple(Historical().estimate(drawn, [confidence])[0])
    for fitted in (None, model.fit(pnl), model.fit(-8.0 * pnl)):
        got = attrs.astuple(model.estimate(pnl, [confidence], fitted)[0])
        # the search for df stops at a relative step of 1e-12, with sums that round in another order
        assert got[:-1] == pytest.approx(want[:-1], rel=1e-8)


@pytest.mark.parametrize(("law", "df"), [("normal", None), ("t", 3.5), ("t", None)])
def test_an_estimate_with_a_fit_draws_nothing(
    law: Literal["normal", "t"], df: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pnl = np.random.default_rng(9).standard_t(4.0, 200)
    model = MonteCarlo(law=law, df=df, draws=3000)
    fitted = model.fit(pnl)
    want = model.estimate(pnl, [0.95, 0.99])
    monkeypatch.setattr(np.random, "default_rng", None)
    assert model.estimate(pnl, [0.95, 0.99], fitted) == want


def test_a_sample_that_cannot_be_fitted_says_why() -> None:
    for pnl, why in ((np.full(60, 2.0), "equal"), (np.repeat([1.0, 2.0], [58, 2]), "equal")):
        model = MonteCarlo(law="t")
        assert model.fit(pnl) is None
        assert why in model.estimate(pnl, [0.99])[0].problem


def test_a_sample_that_does_not_vary_is_its_loss_at_any_confidence() -> None:
    tail = MonteCarlo(draws=1000).estimate(np.full(60, -2.5), [0.9999])[0]
    assert attrs.astuple(tail)[:-1] == (2.5, 2.5, 2.5, 2.5, 0.0)


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_the_root_of_a_covariance_is_triangular_and_multiplies_back(n: int, seed: int) -> None:
    factors = np.random.default_rng(seed).normal(size=(n, n + 2))
    covariance = factors @ factors.T
    root = covariance_root(covariance)
    assert np.allclose(np.triu(root, 1), 0.0)
    np.testing.assert_allclose(root @ root.T, covariance, rtol=1e-9, atol=1e-9)


def test_a_singular_covariance_is_served() -> None:
    same = np.array([[4.0, 4.0], [4.0, 4.0]])
    root = covariance_root(same)
    np.testing.assert_allclose(root @ root.T, same, atol=1e-12)
    assert not covariance_root(np.zeros((3, 3))).any()


def test_impossible_correlations_are_repaired_and_variances_kept() -> None:
    impossible = np.array([[1.0, 0.9, -0.9], [0.9, 4.0 / 4.0, 0.9], [-0.9, 0.9, 1.0]])
    root = covariance_root(impossible)
    repaired = root @ root.T
    np.testing.assert_allclose(np.diag(repaired), 1.0, rtol=1e-12)
    assert np.linalg.eigvalsh(repaired).min() > -1e-12
    assert repaired[0, 1] > 0.0 > repaired[0, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones((2, 3)),
        np.array([[1.0, 0.5], [0.2, 1.0]]),
        np.array([[-1.0, 0.0], [0.0, 1.0]]),
        np.array([[math.nan, 0.0], [0.0, 1.0]]),
    ],
)
def test_a_matrix_that_is_no_covariance_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError):
        covariance_root(wrong)


@pytest.mark.parametrize(
    ("copula_df", "marginal_df"), [(None, None), (5.0, 5.0), (4.0, None), (None, 6.0), (3.0, 8.0)]
)
def test_marginals_have_their_law_and_variance(
    copula_df: float | None, marginal_df: float | None
) -> None:
    mean, covariance = np.array([0.01, -0.02]), np.array([[1e-4, 8e-5], [8e-5, 4e-4]])
    drawn = joint_returns(
        mean,
        covariance,
        100_000,
        np.random.default_rng(4),
        copula_df=copula_df,
        marginal_df=marginal_df,
    )
    law = stats.norm() if marginal_df is None else stats.t(marginal_df)
    for j in range(2):
        score = (drawn[:, j] - mean[j]) / math.sqrt(covariance[j, j]) * law.std()
        # 0.005: the Kolmogorov distance of 100 000 independent draws stays below with p = 0.01
        assert stats.kstest(score, law.cdf).statistic < 0.0055


def test_a_t_copula_makes_joint_extremes() -> None:
    covariance = np.array([[1.0, 0.3], [0.3, 1.0]])

    def both_extreme(copula_df: float | None) -> float:
        drawn = joint_returns(
            np.zeros(2), covariance, 200_000, np.random.default_rng(5), copula_df=copula_df
        )
        return float(np.mean((drawn < np.quantile(drawn, 0.01, axis=0)).all(axis=1)))

    assert both_extreme(3.0) > 2.5 * both_extreme(None)


def test_the_law_of_a_portfolio_is_the_normal_one_for_small_returns() -> None:
    exposures = np.array([1000.0, -500.0])
    covariance = np.array([[1e-6, 5e-7], [5e-7, 4e-6]])
    drawn = simulated_pnl(
        exposures, joint_returns(np.zeros(2), covariance, 400_000, np.random.default_rng(6))
    )
    sd = math.sqrt(exposures @ covariance @ exposures)
    assert np.quantile(-drawn, 0.99) == pytest.approx(2.326 * sd, rel=0.01)


def test_a_long_position_cannot_lose_more_than_all() -> None:
    assert simulated_pnl(np.array([100.0]), np.array([[-50.0]]))[0] == pytest.approx(-100.0)


@pytest.mark.parametrize("wrong", [{"copula_df": 0.0}, {"marginal_df": 2.0}])
def test_wrong_degrees_of_freedom_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match="must be finite and more than"):
        joint_returns(np.zeros(1), np.eye(1), 10, np.random.default_rng(0), **wrong)
