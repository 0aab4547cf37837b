"""What the commands say while the kernels are made ready."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rtre.app import make_ready
from rtre.config import RiskConfig
from rtre.warm import is_warm


def tell(stderr: Console, text: str) -> None:
    """Print for people: plain text, broken into lines by nobody but the terminal."""
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)


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
