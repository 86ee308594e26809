"""What a gRPC path concludes from answers: an engine that forgot is found out, late answers are not mistaken for it."""

from __future__ import annotations

from typing import Any

import pytest

from fallback_grpc.path_state import GrpcPathState
from transport.contract.codes import ExecutionStatus, ReasonCode, ServingStatus
from transport.contract.conclusions import Refused, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.path import PathRefused
from transport.contract.replies import ExecuteReply, Health, OrderReply


def health(epoch: int, journal_seq: int) -> Health:
    return Health(status=ServingStatus.SERVING, journal_id="journal-a", epoch=epoch, journal_seq=journal_seq)


def reply(sequence: int, account: str = "default") -> OrderReply:
    return OrderReply(order_id="a", status=ExecutionStatus.FILLED, sequence=sequence, account=account)


class Watched:
    """A state that has seen epoch 3, record 100 and update 10, and what it told its listener."""

    def __init__(self) -> None:
        self.state = GrpcPathState(BridgeConfig())
        self.events: list[Any] = []
        self.state.add_listener(self.events.append)
        self.state.check_answer(health(3, 100), self.state.mark())
        self.state.check_answer(reply(10), self.state.mark())

    def refusals(self) -> list[ReasonCode]:
        return [event.code for event in self.events if isinstance(event, PathRefused)]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.mark.parametrize(
    "answer", [health(2, 200), health(3, 99), reply(10), [ExecuteReply(reply(11)), ExecuteReply(reply(4))]]
)
def test_an_answer_below_what_was_seen_stops_the_path_for_good(watched: Watched, answer: Any) -> None:
    watched.state.check_answer(answer, watched.state.mark())
    watched.state.check_answer(answer, watched.state.mark())
    assert watched.refusals() == [ReasonCode.STATE_REGRESSED]
    assert not watched.state.is_connected
    refusal = watched.state.refusal()
    assert refusal is not None and refusal.code == ReasonCode.STATE_REGRESSED
    watched.state.check_answer(health(9, 900), watched.state.mark())
    assert not watched.state.is_connected


def test_a_lower_epoch_in_the_headers_stops_the_path(watched: Watched) -> None:
    watched.state.replied((("x-journal-id", "journal-a"), ("x-epoch", "2")), watched.state.mark())
    assert watched.refusals() == [ReasonCode.STATE_REGRESSED]


def test_late_answers_stored_replies_and_other_accounts_are_no_regression(watched: Watched) -> None:
    early = watched.state.mark()
    watched.state.check_answer(health(4, 150), watched.state.mark())
    watched.state.check_answer(reply(20), watched.state.mark())
    watched.state.check_answer(health(3, 120), early)
    watched.state.check_answer(reply(12), early)
    watched.state.replied((("x-epoch", "3"),), early)
    watched.state.check_answer(reply(2), watched.state.mark(), duplicate=True)
    watched.state.check_answer([ExecuteReply(reply(3), duplicate=True)], watched.state.mark())
    watched.state.check_answer(reply(1, "other"), watched.state.mark())
    assert watched.refusals() == []
    assert (watched.state.is_connected, watched.state.epoch) == (True, 4)


def test_a_listener_may_ask_the_state_when_it_hears_of_another_journal(watched: Watched) -> None:
    heard: list[bool] = []

    def ask(event: Any) -> None:
        heard.append(isinstance(event, PathRefused))
        watched.state.lost("asked within")  # takes the state's lock

    listeners: Any = watched.state._listeners  # pyright: ignore[reportPrivateUsage]
    listeners.insert(0, lambda event: ask(event) if not heard else None)
    watched.state.identified("journal-b", 3, watched.state.mark())
    assert heard == [True]


def test_each_connection_is_asked_once_whether_its_engine_has_what_was_seen(watched: Watched) -> None:
    state = watched.state
    assert state.position_to_check("default") == 10
    assert state.position_checked(None)
    assert state.position_to_check("default") is None
    state.lost("reset")
    state.identified("journal-a", 3, state.mark())
    assert state.position_to_check("default") == 10
    assert state.position_to_check("another") is None


def test_an_engine_that_refuses_to_say_is_used_and_asked_again(watched: Watched) -> None:
    assert watched.state.position_checked(Refused(ReasonCode.BUSY))
    assert not watched.state.position_checked(Unknown("the connection went"))
    assert watched.state.position_to_check("default") == 10
    assert watched.refusals() == []


def test_an_engine_that_has_not_come_so_far_stops_the_path(watched: Watched) -> None:
    assert not watched.state.position_checked(Refused(ReasonCode.STATE_REGRESSED, "it is at 4"))
    assert watched.refusals() == [ReasonCode.STATE_REGRESSED]
