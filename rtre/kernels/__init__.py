"""Compiled inner loops: pure functions over arrays and scalars, and the only home of numba."""
