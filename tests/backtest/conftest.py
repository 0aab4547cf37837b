"""Property tests here may compile a kernel or wait for a busy machine: time is no property."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
