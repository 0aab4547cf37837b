"""``python -m rtre``: the program (`rtre.program`), ended cleanly from the first moment on."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program; an interruption while its parts are imported is like any other."""
    try:
        from rtre.program import main as run  # takes a second
    except KeyboardInterrupt:
        print("rtre: interrupted", file=sys.stderr)
        sys.exit(130)
    run(prog_name="rtre")


if __name__ == "__main__":
    main()
