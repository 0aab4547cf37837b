"""Trio: risk reports to people and programs, one sink a file."""
