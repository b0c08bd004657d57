"""Conductors: fit, evaluate, predict, compare, report, audit, check. The only room that knows everyone."""
