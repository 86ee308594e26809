"""Tells listeners of a reconciliation, and the log where it found something."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fallback_grpc.reconciliation.report import MissingAtEngine, Reconciliation, ReconciliationListener
from transport.contract.codes import ReasonCode
from transport.contract.errors import (
    ClientClosedError,
    ExecutionBridgeError,
    ExecutionError,
    JournalMismatchError,
    StateRegressedError,
    WrongLoopError,
)

_log = logging.getLogger(__name__)


def tell(listeners: Sequence[ReconciliationListener], found: Reconciliation) -> None:
    """Calls each listener; one that fails stops nobody."""
    missing = [each.order_id for each in found.differences if isinstance(each, MissingAtEngine)]
    if missing:
        _log.critical("reconciliation: the engine has forgotten %d orders: %s", len(missing), missing[:10])
    elif not found.agrees:
        count = len(found.differences) + found.omitted
        _log.warning("reconciliation: %d differences up to update %d", count, found.ended_sequence)
    for listener in tuple(listeners):
        try:
            listener(found)
        except Exception:  # the user's code must not stop the bridge
            _log.exception("a listener of reconciliations failed")


def is_final(problem: ExecutionBridgeError) -> bool:
    """Whether to try again is in vain: the client is closed, the engine forgot, or does not list open orders."""
    if isinstance(problem, ExecutionError) and problem.code == ReasonCode.NOT_IMPLEMENTED:
        return True
    return isinstance(problem, ClientClosedError | StateRegressedError | JournalMismatchError | WrongLoopError)
