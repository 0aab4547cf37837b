"""Tests of forecasts against what happened: counts, likelihood ratios, e-processes, scores."""
