"""EWMA covariance against full matrices in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtre.errors import DataError
from rtre.windows.covariance import EwmaCovariance

entries = st.one_of(
    st.floats(-3.0, 3.0), st.sampled_from([0.0, math.nan, math.nan, math.inf, -1e200])
)


class Dense:
    """The definition: diagonal factors and outer products of whole matrices."""

    def __init__(self, n: int, decay: float) -> None:
        self.decay = decay
        self.S, self.w = np.zeros((n, n)), np.zeros(n)

    def update(self, x: np.ndarray) -> None:
        seen = np.abs(x) <= 1e150
        D = np.diag(np.where(seen, math.sqrt(self.decay), 1.0))
        known = np.where(seen, x, 0.0)
        self.S = D @ self.S @ D + (1.0 - self.decay) * np.outer(known, known)
        self.w = np.where(seen, self.decay * self.w + 1.0 - self.decay, self.w)

    def update_row(self, i: int, x: float, others: np.ndarray) -> None:
        joint = x * np.where(np.isfinite(others), others, 0.0)
        joint[i] = x * x
        row = self.decay * self.S[i] + (1.0 - self.decay) * joint
        self.S[i], self.S[:, i] = row, row
        self.w[i] = self.decay * self.w[i] + 1.0 - self.decay

    def corrected(self) -> np.ndarray:
        root = np.sqrt(np.where(self.w > 0.0, self.w, math.nan))
        return np.asarray(self.S / np.outer(root, root))


class Twin(RuleBasedStateMachine):
    @initialize(n=st.integers(1, 6), decay=st.floats(0.05, 0.99))
    def make(self, n: int, decay: float) -> None:
        self.n = n
        self.ours, self.twin = EwmaCovariance(n, decay), Dense(n, decay)
        self.masked = self.updates = 0

    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        x = np.array(data.draw(st.lists(entries, min_size=self.n, max_size=self.n)))
        masked = self.ours.update(x)
        assert masked == np.count_nonzero(~(np.abs(x) <= 1e150))
        self.masked += masked
        self.updates += 1
        self.twin.update(x)

    @rule(data=st.data(), x=entries)
    def update_row(self, data: st.DataObject, x: float) -> None:
        i = data.draw(st.integers(0, self.n - 1))
        self.ours.update_row(i, x)
        if abs(x) <= 1e150:
            self.twin.update_row(i, x, np.zeros(self.n))
            self.updates += 1
        else:
            self.masked += 1

    @rule()
    def restart_from_a_snapshot(self) -> None:
        self.ours = EwmaCovariance.restore(self.ours.snapshot())

    @invariant()
    def same_matrix(self) -> None:
        got, want = self.ours.to_dense(), self.twin.corrected()
        # sqrt(decay) twice is decay to an ulp; 50 steps of that, on entries up to 9
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)
        assert (self.ours.masked, self.ours.updates) == (self.masked, self.updates)

    @invariant()
    def positive_semidefinite(self) -> None:
        known = self.twin.w > 0.0
        got = self.ours.to_dense()[np.ix_(known, known)]
        if len(got):
            assert np.linalg.eigvalsh(got).min() >= -1e-12 * max(1.0, np.trace(got))

    @invariant()
    def same_variance_of_a_portfolio(self) -> None:
        v = np.linspace(-2.0, 3.0, self.n)
        v[self.twin.w == 0.0] = 0.0
        want = float(v @ np.nan_to_num(self.twin.corrected()) @ v)
        assert self.ours.variance_of(v) == pytest.approx(max(want, 0.0), rel=1e-11, abs=1e-11)


Twin.TestCase.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
test_every_history_gives_the_matrix_of_the_definition = Twin.TestCase


@pytest.mark.parametrize("n", [1, 7, 8, 33, 64])
def test_a_long_run_agrees_with_numpy(n: int) -> None:
    rng = np.random.default_rng(n)
    ours, twin = EwmaCovariance(n, 0.97), Dense(n, 0.97)
    for _ in range(100):
        x = rng.normal(size=n)
        x[rng.random(n) < 0.1] = math.nan
        i, row = int(rng.integers(n)), rng.normal(size=n)
        ours.update(x)
        twin.update(x)
        ours.update_row(i, row[i], row)
        twin.update_row(i, row[i], row)
    np.testing.assert_allclose(ours.to_dense(), twin.corrected(), rtol=1e-12, atol=1e-13)


def test_the_mean_of_one_weight_is_unbiased_from_the_first_return_on() -> None:
    # of returns that never change, any weighted mean of x x' is x x' itself
    covariance, x = EwmaCovariance(2, 0.94), np.array([0.5, -2.0])
    for _ in range(40):
        covariance.update(x)
        np.testing.assert_allclose(covariance.to_dense(), np.outer(x, x), rtol=1e-14)


def test_a_masked_variance_keeps_and_no_correlation_exceeds_one() -> None:
    covariance = EwmaCovariance(2, 0.5)
    covariance.update(np.array([1.0, 1.0]))
    for _ in range(20):
        before = covariance.to_dense()[1, 1]
        covariance.update(np.array([0.01, math.nan]))
        C = covariance.to_dense()
        assert C[1, 1] == before
        assert abs(C[0, 1]) <= math.sqrt(C[0, 0] * C[1, 1]) * (1.0 + 1e-15)


def test_pairs_that_are_both_seen_have_the_bits_of_an_update_without_masks() -> None:
    rng = np.random.default_rng(9)
    wide, narrow = EwmaCovariance(5, 0.9), EwmaCovariance(4, 0.9)
    for _ in range(30):
        x = rng.normal(size=4)
        narrow.update(x)
        wide.update(np.append(x, math.nan))
    assert wide.to_dense()[:4, :4].tobytes() == narrow.to_dense().tobytes()
    assert np.isnan(wide.to_dense()[4]).all()


def test_an_asset_without_a_return_has_no_variance_unless_it_is_not_held() -> None:
    covariance = EwmaCovariance(2, 0.9)
    covariance.update(np.array([2.0, math.nan]))
    assert math.isnan(covariance.variance_of(np.array([1.0, 1.0])))
    assert covariance.variance_of(np.array([3.0, 0.0])) == pytest.approx(36.0, rel=1e-14)


def test_a_matrix_made_indefinite_is_refused_and_not_floored() -> None:
    covariance = EwmaCovariance(2, 0.5)
    covariance.update(np.array([1.0, 1.0]))
    covariance.update_row(0, 1.0, np.array([0.0, 50.0]))
    with pytest.raises(DataError, match="indefinite"):
        covariance.variance_of(np.array([1.0, -1.0]))


def test_a_strided_or_read_only_vector_is_read_and_left_as_it_was() -> None:
    wide = np.arange(6.0).reshape(3, 2)
    fixed = wide[:, 1].copy()
    fixed.setflags(write=False)
    one, other = EwmaCovariance(3, 0.9), EwmaCovariance(3, 0.9)
    one.update(wide[:, 1])
    other.update(fixed)
    assert one.snapshot() == other.snapshot()


@pytest.mark.parametrize(
    "make",
    [
        lambda: EwmaCovariance(0, 0.9),
        lambda: EwmaCovariance(10**6, 0.9),
        lambda: EwmaCovariance(2, 1.0),
        lambda: EwmaCovariance(2, math.nan),
        lambda: EwmaCovariance(2, 0.9).update(np.zeros(3)),
        lambda: EwmaCovariance(2, 0.9).update_row(2, 1.0),
        lambda: EwmaCovariance(2, 0.9).update_row(-1, 1.0),
        lambda: EwmaCovariance(2, 0.9).update_row(0, 1.0, np.zeros(1)),
        lambda: EwmaCovariance(2, 0.9).variance_of(np.array([1.0, math.inf])),
    ],
)
def test_wrong_arguments_are_refused(make: object) -> None:
    with pytest.raises(DataError, match="must"):
        make()  # type: ignore[operator]


def test_a_damaged_or_foreign_snapshot_is_refused() -> None:
    good = EwmaCovariance(3, 0.9).snapshot()
    for bad in (b"RMO1" + good[4:], good[:-8], good[:9] + b"x" + good[10:], good[:8], b""):
        with pytest.raises(DataError):
            EwmaCovariance.restore(bad)
