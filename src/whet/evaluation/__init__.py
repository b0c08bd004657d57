"""Predictions become numbers: scores, intervals, tests, calibration, flips, gates and the verdict.

Pure functions on saved predictions; no model is ever loaded here and torch stays out. Read in this
order: ``sums`` (every metric is a function of per-row sums, which makes resampling fast), ``metrics``,
``intervals``, ``paired``, ``power``, ``scoring``, ``verdict``, ``gates``.
"""
