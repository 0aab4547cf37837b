"""Which models run, on which lines, and which of them a line shows as its own.

A model is asked for by a name (``ewma``), with parameters in parentheses where they differ
(``ewma(decay=0.97)``), so that two of one kind can run beside each other.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from rtre import names
from rtre.config import RiskConfig
from rtre.errors import DataError, RtreError, UnknownNameError, in_words
from rtre.models.base import Model

_SPEC = re.compile(r"([^()]+)(?:\((.*)\))?", re.DOTALL)


def split_specs(texts: Iterable[str]) -> list[str]:
    """Split at commas outside parentheses; empty parts fall away.

    >>> split_specs(["historical, ewma(decay=0.97)", "fhs"])
    ['historical', 'ewma(decay=0.97)', 'fhs']
    """
    parts = []
    for text in texts:
        parts += re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Return a model's name, and the parameters that the text gives.

    >>> parse_spec("ewma(decay=0.97)")
    ('ewma', {'decay': 0.97})

    Raises
    ------
    DataError
        The text is neither ``name`` nor ``name(parameter=value, ...)``.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise DataError(f"{text!r} is not a model; write ewma, or ewma(decay=0.97)")
    parameters = {}
    for part in split_specs([match[2] or ""]):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise DataError(f"{part!r} in {text!r} is not a parameter; write ewma(decay=0.97)")
        parameters[name.strip()] = _value(value)
    return match[1].strip(), parameters


def _value(text: str) -> Any:
    """Read a parameter: a number, true, false, or text."""
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def build_model(spec: str, parameters: Mapping[str, Any] | None = None) -> Model:
    """Build a model from its text; parameters in the text win over `parameters`.

    Raises
    ------
    UnknownNameError
        There is no such model.
    DataError
        A parameter is unknown or out of range.
    """
    name, own = parse_spec(spec)
    kind = names.find("models", name)
    given = {**(parameters or {}), **own}
    takes = inspect.signature(kind).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        unknown = [repr(p) for p in given if p not in takes]
        if unknown:
            has = f"it has {', '.join(takes)}" if takes else "it has none"
            raise DataError(f"{name} has no parameter {', '.join(unknown)}; {has}")
    try:
        model: Model = kind(**given)
    except RtreError:
        raise
    except Exception as error:  # noqa: BLE001 - of a user's own checks
        raise DataError(f"parameters of model {name!r}: {in_words(error)}") from None
    return model


def make_model(config: RiskConfig) -> Model:
    """Build the model that a configuration names for all lines; raises like `build_model`."""
    return _configured(config, config.model)


def _configured(config: RiskConfig, spec: str) -> Model:
    """Build a model with the parameters that the configuration has for its name."""
    name, _ = parse_spec(spec)
    tables = [config.models[name]] if name in config.models else []
    if not tables and config.models:  # its table may use the other name of an alias
        kind = names.find("models", name)
        tables = [v for k, v in config.models.items() if names.find("models", k) is kind]
    parameters: dict[str, Any] = {}
    for table in (*tables, config.parameters if spec == config.model else {}):
        parameters |= table
    return build_model(spec, parameters)


def check_models(config: RiskConfig) -> list[tuple[str, str]]:
    """Return (key, problem) for models that do not exist, parameters none takes, and repeats."""
    found: dict[str, str] = {}  # text to key: what is wrong in a table is told once, there
    for name, parameters in config.models.items():
        try:
            build_model(name, parameters)
        except (UnknownNameError, DataError) as error:
            found.setdefault(str(error), f"risk.models.{name}")
    asked = [("risk.model", config.model)]
    asked += [("risk.beside", spec) for spec in config.beside]
    asked += [(f"risk.book_models.{book}", spec) for book, spec in config.book_models.items()]
    running: list[Model] = []
    for key, spec in asked:
        try:
            model = _configured(config, spec)
        except UnknownNameError as error:
            found.setdefault(str(error), key)
        except DataError as error:
            typed = key == "risk.model" and bool(config.parameters)
            found.setdefault(str(error), "risk.parameters" if typed else key)
        else:
            if key == "risk.beside" and model in running:
                found.setdefault(f"{spec} is there already, with the same parameters", key)
            running.append(model)
    return [(key, text) for text, key in found.items()]


@attrs.frozen
class Lineup:
    """The models of an engine.

    Attributes
    ----------
    models : tuple of Model
        No two are equal; the first is that of all lines unless their book has its own.
    labels : tuple of str
        What reports call them; no two are equal.
    own : dict of str to int
        Book to its own model's place in `models`, where that is not the first.
    compete : frozenset of int
        Places of the models that run on every line; empty: each line has its own model alone.
    """

    models: tuple[Model, ...]
    labels: tuple[str, ...]
    own: dict[str, int]
    compete: frozenset[int]

    def of(self, book: str | None) -> int:
        """Place of the model that a line shows as its own; None is any symbol."""
        return self.own.get(book, 0) if book is not None else 0

    def serves(self, place: int, book: str | None) -> bool:
        """Whether the model at `place` runs on a line."""
        return place in self.compete or place == self.of(book)


def line_up(config: RiskConfig, books: Sequence[str], model: Model | None = None) -> Lineup:
    """Build the models that a configuration names.

    Parameters
    ----------
    config : RiskConfig
    books : sequence of str
        Their names.
    model : Model, optional
        Instead of the one that `config` names for all lines.

    Raises
    ------
    UnknownNameError, DataError
        As of `build_model`; or a model of a book that is not there.
    """
    first = make_model(config) if model is None else model
    models, labels = [first], [_label("" if model else config.model, first, ())]

    def place(spec: str) -> int:
        made = _configured(config, spec)
        if made not in models:
            models.append(made)
            labels.append(_label(spec, made, labels))
        return models.index(made)

    compete = {place(spec) for spec in config.beside}
    if compete:
        compete.add(0)
    own = {}
    for book, spec in config.book_models.items():
        if book not in books:
            raise DataError(
                f"no book named {book!r} to give a model; there is {', '.join(books) or 'none'}"
            )
        own[book] = place(spec)
    own = {book: at for book, at in own.items() if at}
    return Lineup(tuple(models), tuple(labels), own, frozenset(compete))


def _label(spec: str, model: Model, taken: Sequence[str]) -> str:
    """Return a model's name; the text that asked for it where that says more or is needed."""
    label = spec if "(" in spec or model.name in taken else model.name
    return label if label not in taken else f"{label} {len(taken) + 1}"
