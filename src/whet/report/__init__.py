"""The report of a run: its files become one HTML page without network, and a model card.

This room reads a run folder and nothing else: no model, no training code, no store. A run that was
copied to another machine, or that stopped half-way, still gets its page.
"""

from __future__ import annotations

from whet.report.card import write_card
from whet.report.page import write_report

__all__ = ["write_card", "write_report"]
