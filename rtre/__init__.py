"""rtre: real-time market risk. VaR and Expected Shortfall per symbol and per book, on every tick.

The synchronous core is `RiskEngine`; `open_pipeline` and `serve` run it inside a Trio program.

Each name is imported when it is first used: ``__init__.pyi`` says from where.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
