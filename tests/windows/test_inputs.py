"""What the windows refuse: wrong types and values, each with a DataError that says what it got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtre.errors import DataError
from rtre.market import Universe
from rtre.windows.covariance import EwmaCovariance
from rtre.windows.lines import Lines
from rtre.windows.rolling_moments import RollingMoments
from rtre.windows.rolling_tail import RollingTail, RollingTails
from rtre.windows.variance_panel import VariancePanel

NAN = float("nan")


def frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


@pytest.mark.parametrize("wrong", ["0.9", ["a"], None, [0.9, None], 0.9 + 0j, [[0.9]]])
def test_a_confidence_that_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="got"):
        RollingTail(wrong, window=5)


def test_a_rule_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="rule must be one of"):
        RollingTail(0.9, window=5, rule=["order"])  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["x", None, NAN, 1.5, 2**63, -(2**63) - 1, np.array([1, 2])])
def test_a_time_that_is_none_is_refused_and_nothing_is_taken(wrong: Any) -> None:
    tails = RollingTails(2, 0.9, window=5, max_age_ns=10)
    tail = RollingTail(0.9, window=5, max_age_ns=10)
    tail.push(-1.0, 7)
    before = tail.snapshot()
    for call in (
        lambda: tails.push([0], [1.0], wrong), lambda: tails.evict(wrong),
        lambda: tail.evict(wrong), lambda: tail.push_many([1.0], [wrong]),
    ):  # fmt: skip
        with pytest.raises(DataError):
            call()
    assert tail.snapshot() == before
    assert tails.counts(0).ticks == 0


@pytest.mark.parametrize("wrong", ["x", None, NAN, 2**63, -(2**63) - 1])
def test_a_value_at_no_time_is_refused(wrong: Any) -> None:
    tail = RollingTail(0.9, window=5, max_age_ns=10)
    with pytest.raises(DataError):
        tail.push(1.0, wrong)
    assert tail.counts.ticks == 0


@pytest.mark.parametrize("wrong", [["a"], [0.5], [NAN], [2**63], [None], np.array([2**63], "u8")])
def test_a_series_that_is_no_whole_number_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="series must be"):
        RollingTails(2, 0.9, window=5).push(wrong, [1.0])


@pytest.mark.parametrize("wrong", ["a", 0.5, None, 1.0, -1, 2])
def test_a_series_that_is_not_there_has_no_tail(wrong: Any) -> None:
    tails = RollingTails(2, 0.9, window=5)
    for ask in (tails.n_obs, tails.counts, lambda series: tails.tail(series, 0.9)):
        with pytest.raises(DataError, match="series must be a whole number from 0 to 1"):
            ask(wrong)
    with pytest.raises(DataError, match="no tail"):
        tails.tail(0, [0.9])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "out",
    [
        [1.0], np.empty((2, 1, 1, 2), "f4"), np.empty((3, 1, 1, 2)), np.empty((2, 3)),
        frozen(np.empty((2, 1, 1, 2))), np.empty((2, 1, 1, 4))[..., ::2], np.float64(1),
    ],
)  # fmt: skip
def test_results_are_written_only_where_they_fit(out: Any) -> None:
    tail, moments = RollingTail(0.9, window=5), RollingMoments(5)
    for push_many in (tail.push_many, moments.push_many):
        with pytest.raises(DataError, match="out must be a C-contiguous"):
            push_many([1.0, 2.0], out=out)  # type: ignore[operator]
    assert tail.counts.ticks == len(moments) == 0


@pytest.mark.parametrize(
    "restore",
    [RollingTail.restore, RollingTails.restore, RollingMoments.restore, EwmaCovariance.restore],
)
def test_a_snapshot_that_is_no_bytes_is_refused(restore: Callable[[Any], object]) -> None:
    for wrong in ("x", None, 5, [1]):
        with pytest.raises(DataError, match="bytes, got"):
            restore(wrong)


def test_a_snapshot_may_lie_in_any_kind_of_bytes() -> None:
    tail = RollingTail(0.9, window=5)
    tail.push(-3.0)
    for kind in (bytes, bytearray, memoryview):
        assert RollingTail.restore(kind(tail.snapshot())).tail(0.9) == tail.tail(0.9)


@pytest.mark.parametrize(
    "settings",
    [
        (2.5,), ("3",), (None,), (NAN,), (5.0,), (1,), (10, 1.5), (10, "2"), (10, 11),
    ],
)  # fmt: skip
def test_moments_of_no_whole_number_of_values_are_refused(settings: tuple[Any, ...]) -> None:
    with pytest.raises(DataError, match="must be a whole number"):
        RollingMoments(*settings)


@pytest.mark.parametrize("wrong", ["x", "1.5", None, [1.0], 1j, 10**400])
def test_a_value_that_is_no_number_is_refused(wrong: Any) -> None:
    moments, covariance = RollingMoments(5), EwmaCovariance(2, 0.9)
    with pytest.raises(DataError, match="must be a number"):
        moments.push(wrong)
    with pytest.raises(DataError, match="must be a number"):
        covariance.update_row(0, wrong)
    assert len(moments) == covariance.updates == 0


@pytest.mark.parametrize("wrong", ["x", "10", None, [1.0], 1j, float("nan"), 1e16])
def test_units_that_are_no_number_or_too_many_are_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="units"):
        Lines(Universe(("A", "B")), {"b": {"A": wrong}}, window=5, interval_ns=10)


@pytest.mark.parametrize("wrong", [["a", "b"], [1j, 2], {"a": 1}, [1, [2]], [10**400, 1]])
def test_columns_that_are_no_numbers_are_refused(wrong: Any) -> None:
    covariance, panel = EwmaCovariance(2, 0.9), VariancePanel.ewma([1.0, 1.0], decay=0.9)
    for take in (
        covariance.update, covariance.variance_of, panel.update, RollingMoments(5).push_many,
        RollingTail(0.9, window=5).push_many, lambda x: covariance.update_row(0, 1.0, x),
        lambda x: VariancePanel(x, omega=0.0, alpha=0.1, beta=0.9),
        lambda x: VariancePanel([1.0, 1.0], omega=x, alpha=0.1, beta=0.9),
    ):  # fmt: skip
        with pytest.raises(DataError, match="must be numbers"):
            take(wrong)
    assert covariance.updates == 0


@pytest.mark.parametrize("wrong", [(1.5, 0.9), ("2", 0.9), (None, 0.9), (2, "x"), (2, None)])
def test_a_covariance_of_no_assets_or_decay_is_refused(wrong: tuple[Any, Any]) -> None:
    with pytest.raises(DataError, match="got"):
        EwmaCovariance(*wrong)


@pytest.mark.parametrize("wrong", [2, -1, 0.5, 1.0, "a", None])
def test_an_asset_that_is_not_there_is_refused_and_nothing_changes(wrong: Any) -> None:
    covariance = EwmaCovariance(2, 0.9)
    lines = Lines(Universe(("A", "B")), {"b": {"A": 1.0}}, window=5, interval_ns=10)
    before = lines.snapshot()
    with pytest.raises(DataError, match="asset must be a whole number from 0 to 1"):
        covariance.update_row(wrong, 1.0)
    with pytest.raises(DataError, match="asset must be a whole number from 0 to 1"):
        lines.break_chain(wrong)
    assert covariance.updates == 0
    assert lines.snapshot() == before


def test_parameters_of_a_panel_are_one_number_or_one_for_each_symbol() -> None:
    for omega in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(DataError, match="omega must be a number or of shape"):
            VariancePanel([1.0, 2.0], omega=omega, alpha=0.1, beta=0.9)
    with pytest.raises(DataError, match="decay must"):
        VariancePanel.ewma([1.0], decay="x")  # type: ignore[arg-type]
