"""Normal tails of many lines against the formulas written out for one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtre.kernels.normal import (
    IGNORED_MEAN,
    PARAMETERS,
    SAMPLE_MEAN,
    ZERO_MEAN,
    ewma_parameters,
    gaussian_parameters,
    normal_tails,
)
from rtre.models.ewma import ewma_weights
from rtre.models.gaussian import Z95, factor_table, normal_tail
from rtre.sheet import RESULTS

CONFIDENCES = (0.95, 0.99)


def test_each_line_gets_the_formula_and_no_other_row_is_touched() -> None:
    parameters = np.array([[1.0, 2.0, 0.01, 0.005], [-3.0, 0.5, 0.0, 0.1]])
    out = np.full((4, 2, RESULTS), -7.0)
    normal_tails(np.array([0, 3]), parameters, factor_table(CONFIDENCES), Z95, out)
    for line, (mean, sd, of_mean, of_sd) in zip((0, 3), parameters.tolist(), strict=True):
        for c, confidence in enumerate(CONFIDENCES):
            want = normal_tail(mean, sd, confidence, mean_variance=of_mean, sd_variance=of_sd)
            expected = [want.var, want.es, want.var_low, want.var_high, want.es_se]
            np.testing.assert_allclose(out[line, c], expected, rtol=1e-14)
    assert (out[1:3] == -7.0).all()


def test_a_line_without_risk_has_a_var_of_plain_zero() -> None:
    out = np.empty((1, 1, RESULTS))
    parameters = np.array([[-0.0, 0.0, 0.1, 0.1]])
    normal_tails(np.array([0]), parameters, factor_table((0.99,)), Z95, out)
    assert out.tolist() == [[[0.0] * RESULTS]]
    assert not np.signbit(out).any()


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_rules_for_the_mean(ddof: int) -> None:
    pnl = np.array([1.0, -2.0, 0.5, 4.0])
    moments = np.array([[pnl.mean(), pnl.std(ddof=ddof), 4.0]])
    out = np.empty((1, PARAMETERS))
    gaussian_parameters(moments, SAMPLE_MEAN, ddof, out)
    np.testing.assert_allclose(out[0], [pnl.mean(), pnl.std(ddof=ddof), 0.25, 0.5 / 3.0])
    gaussian_parameters(moments, IGNORED_MEAN, ddof, out)
    np.testing.assert_allclose(out[0], [0.0, pnl.std(ddof=ddof), 0.0, 0.5 / 3.0])
    gaussian_parameters(moments, ZERO_MEAN, ddof, out)
    np.testing.assert_allclose(out[0], [0.0, math.sqrt((pnl**2).mean()), 0.0, 0.125])


@pytest.mark.parametrize("decay", [0.5, 0.94, 1.0])
def test_the_error_of_an_ewma_is_that_of_its_weights(decay: float) -> None:
    out = np.empty((1, PARAMETERS))
    ewma_parameters(np.array([[4.0, 30.0]]), decay, out)
    weights = ewma_weights(30, decay)
    np.testing.assert_allclose(out[0], [0.0, 2.0, 0.0, 0.5 * np.sum(weights**2)], rtol=1e-12)
