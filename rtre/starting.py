"""What the commands say to people, and how they begin and end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rtre.app import explain, make_ready, sole
from rtre.config import RiskConfig
from rtre.errors import ConfigError, ModelError, OutputError, RtreError
from rtre.warm import is_warm

EXIT_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130


def tell(stderr: Console, text: str) -> None:
    """Print for people: plain text, broken into lines by nobody but the terminal.

    Not with rich: where nobody reads any more it would end the program, and its standard output.
    """
    with suppress(OSError):
        stderr.file.write(f"{text}\n")
        stderr.file.flush()


@contextmanager
def printing() -> Iterator[None]:
    """Write to the standard output in this block; that its reader leaves ends the block quietly.

    Raises
    ------
    OutputError
        It cannot be written, on a full disk say.
    """
    try:
        yield
    except OSError as error:
        # what is still in the buffer would fail again, and be told, when the interpreter ends
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"the output cannot be written: {error.strerror}") from None


def guarded(run: Callable[[], int]) -> NoReturn:
    """Run, turn what people can mend into one clear message, and exit with the right code."""
    problems: tuple[str, ...] = ()
    try:
        code = run()
    except ConfigError as error:
        code, problems = EXIT_WRONG_INPUT, error.problems
    except (RtreError, ExceptionGroup) as error:
        text = explain(error)
        if text is None:
            raise  # a bug: show all of it
        failed = isinstance(sole(error), ModelError | OutputError)
        code, problems = EXIT_FAILED if failed else EXIT_WRONG_INPUT, tuple(text.splitlines())
    except KeyboardInterrupt:
        code, problems = EXIT_INTERRUPTED, ("interrupted",)
    for problem in problems:
        with suppress(OSError):
            click.echo(f"rtre: {problem}", err=True)
    sys.exit(code)


def warm(risk: RiskConfig, stderr: Console) -> None:
    """Compile or load the kernels before anything else; a cold first run shows progress."""
    with Progress(
        TextColumn("compiling kernels, once"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[what]}"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None, what="")

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, what=what)

        if not stderr.is_terminal and not is_warm(risk):
            tell(stderr, "rtre: compiling kernels; later starts are fast")
        warmed = make_ready(risk, show)
    if warmed.problem:
        tell(stderr, f"rtre: kernels are compiled anew at each start: {warmed.problem}")
