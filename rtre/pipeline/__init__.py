"""Trio tasks between feeds and sinks: inbox, risk task, fan-out."""
