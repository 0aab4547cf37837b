"""Checks of attributes, made when an object is built, with the value in the message."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rtre.errors import DataError

Validator = Callable[[Any, Any, Any], None]


def between(
    low: float, high: float, *, low_open: bool = False, high_open: bool = False
) -> Validator:
    """Return an attrs validator: a finite number from `low` to `high`; an open end is excluded."""
    text = f"{'more than' if low_open else 'at least'} {low:g}"
    if not math.isinf(high):
        text += f" and {'less than' if high_open else 'at most'} {high:g}"

    def check(instance: Any, attribute: Any, value: Any) -> None:
        where = f"{type(instance).__name__}.{attribute.name}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{where} must be a number, {text}; got {value!r}")
        too_low = value <= low if low_open else value < low
        too_high = value >= high if high_open else value > high
        if not math.isfinite(value) or too_low or too_high:
            raise DataError(f"{where} must be {text}; got {value!r}")

    return check


def whole(low: int, high: int | None = None) -> Validator:
    """Return an attrs validator: a whole number from `low` to `high`, both included."""
    text = f"at least {low}" if high is None else f"from {low} to {high}"

    def check(instance: Any, attribute: Any, value: Any) -> None:
        right = isinstance(value, int) and not isinstance(value, bool)
        if not right or value < low or (high is not None and value > high):
            where = f"{type(instance).__name__}.{attribute.name}"
            raise DataError(f"{where} must be a whole number, {text}; got {value!r}")

    return check


def one_of(*choices: str) -> Validator:
    """Return an attrs validator: one of `choices`."""

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value not in choices:
            where = f"{type(instance).__name__}.{attribute.name}"
            raise DataError(f"{where} must be one of {', '.join(choices)}; got {value!r}")

    return check


def optional(validator: Validator) -> Validator:
    """Return an attrs validator: None, or what `validator` accepts."""

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not None:
            validator(instance, attribute, value)

    return check
