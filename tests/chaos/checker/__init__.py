"""Compares what clients believe, what the journal holds and what the exchange did. Every difference has a name."""

from tests.chaos.checker.books import Books
from tests.chaos.checker.comparing import check
from tests.chaos.checker.differences import Difference, DifferenceKind

__all__ = ["Books", "Difference", "DifferenceKind", "check"]
