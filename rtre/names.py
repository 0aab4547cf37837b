"""Finding models, venues and sinks by name: one file each, found when asked for."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from rtre.errors import UnknownNameError, in_words

_MARKS = {"models": "MODEL", "venues": "VENUE"}
_BASES = {"models": ("rtre.models.base", "Model"), "venues": ("rtre.venues.base", "Venue")}
_ALIASES = re.compile(r"^ALIASES = (\(.*?\))$", re.MULTILINE | re.DOTALL)


def available(kind: str) -> tuple[str, ...]:
    """Names of all files of a kind (``models``, ``venues``) that ship with rtre.

    Read off the sources: importing every model to print a help text would cost half a second.

    >>> "historical" in available("models")
    True
    """
    mark = re.compile(rf"^{_MARKS[kind]}\b", re.MULTILINE)
    folder = resources.files("rtre") / kind
    found = [f for f in folder.iterdir() if f.name.endswith(".py") and mark.search(f.read_text())]
    return tuple(sorted(f.name.removesuffix(".py").replace("_", "-") for f in found))


def aliases(kind: str) -> dict[str, str]:
    """Other names that files of a kind give themselves, as ``ALIASES = ("other",)``, to theirs.

    >>> aliases("models")["fhs"]
    'filtered'
    """
    return {
        alias: name
        for name in available(kind)
        for match in [_ALIASES.search(_file(kind, name).read_text())]
        if match
        for alias in ast.literal_eval(match[1])
    }


def _file(kind: str, name: str) -> Traversable:
    return resources.files("rtre") / kind / f"{name.replace('-', '_')}.py"


def find(kind: str, name: str) -> Any:
    """Return the class that a name stands for.

    A plain name is a file of ``rtre/<kind>/``, or an alias that one gives itself;
    ``package.module:Class`` is a class of your own, in the current folder or anywhere else that
    Python can import it from.

    Raises
    ------
    UnknownNameError
        Saying what there is, or what is wrong with a class of your own.
    """
    module_name, colon, attribute = name.partition(":")
    if colon:
        return _own(kind, name, module_name, attribute)
    module_name = f"rtre.{kind}.{name.replace('-', '_')}"
    if not name.replace("-", "_").isidentifier():
        raise UnknownNameError(_unknown(kind, name))
    try:
        return getattr(importlib.import_module(module_name), _MARKS[kind])
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise  # the file is there and something it imports is not: a different problem
        if name in (others := aliases(kind)):
            return find(kind, others[name])
        raise UnknownNameError(_unknown(kind, name)) from None
    except AttributeError:
        raise UnknownNameError(_unknown(kind, name)) from None


def _own(kind: str, name: str, module_name: str, attribute: str) -> Any:
    """Import a class of somebody else's; whatever that raises becomes words."""
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise UnknownNameError(_unknown(kind, name))
    _reach_current_folder()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - anybody's code runs here
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise UnknownNameError(f"no module {missing!r} on Python's path") from None
        raise UnknownNameError(f"cannot import {module_name!r}: {in_words(error)}") from None
    base_module, base_name = _BASES[kind]
    base = getattr(importlib.import_module(base_module), base_name)
    if not hasattr(module, attribute):
        usable = [n for n, v in vars(module).items() if not n.startswith("_") and _fits(v, base)]
        there = f"it has {', '.join(sorted(usable)) or f'no {kind[:-1]}'}"
        raise UnknownNameError(f"module {module_name!r} has no {attribute!r}; {there}")
    found = getattr(module, attribute)
    if not _fits(found, base):
        what = f"a class derived from {base_module}.{base_name}"
        if isinstance(found, type) and issubclass(found, base):
            lacks = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise UnknownNameError(f"{name!r} is abstract: it does not define {lacks}")
        raise UnknownNameError(f"{name!r} is not a {kind[:-1]}: it must be {what}")
    if not isinstance(getattr(found, "name", None), str):
        raise UnknownNameError(f"{name!r} does not say its name; add, for example, name = 'mine'")
    return found


def _fits(found: Any, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base) and not inspect.isabstract(found)


def _reach_current_folder() -> None:
    """Let imports see the current folder, as with ``python -m rtre``: a script of pip's does not.

    Last on the path, so that a file there hides nothing that is installed. ``python -P`` says no.
    """
    try:
        folder = os.getcwd()
    except OSError:  # it is gone
        return
    if not sys.flags.safe_path and not {"", folder} & set(sys.path):
        sys.path.append(folder)


def _unknown(kind: str, name: str) -> str:
    known = ", ".join(available(kind))
    return f"no {kind[:-1]} named {name!r}; there is {known}, or your own as package.module:Class"
