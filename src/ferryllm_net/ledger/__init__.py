"""A row for every request, which outlives the process: who asked whom for what, what it took and what it cost."""

from .ledger import EVERYTHING, By, Filter, Ledger, LedgerError, Page, Sum, Totals, Used
from .opening import open_ledger
from .row import COLUMNS, Row, Try, row_of
from .upkeep import keep_for, restore_quotas

__all__ = [
    "COLUMNS",
    "EVERYTHING",
    "By",
    "Filter",
    "Ledger",
    "LedgerError",
    "Page",
    "Row",
    "Sum",
    "Totals",
    "Try",
    "Used",
    "keep_for",
    "open_ledger",
    "restore_quotas",
    "row_of",
]
