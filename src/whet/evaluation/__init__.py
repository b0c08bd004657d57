"""Predictions become numbers: scores, intervals, tests, calibration, flips, gates and the verdict.

Pure functions on saved predictions; no model is ever loaded here and torch stays out. Read in this
order: ``measures`` (the table of metrics), ``sums`` (every metric is a function of per-row sums, which
makes resampling fast), ``kinds`` (what each kind of predictions offers: ``classes`` with
``class_points``, ``spans``, ``answers``, ``values``, ``ranks``, ``texts`` with ``overlap``), ``rows``,
``shares``, ``intervals``, ``paired``, ``power``, ``scoring``, ``verdict``, ``gates``.
"""
