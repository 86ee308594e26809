"""The fast path's core by itself: no sockets, and time is a number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.transport.fake_engine import JOURNAL, filled
from tests.unit.transport.test_codec import order
from transport.contract import (
    BridgeConfig,
    ExecuteReply,
    Health,
    JournalMismatchError,
    NotSent,
    PathConnected,
    PathGoingAway,
    PathLost,
    PathRefused,
    ReasonCode,
    Refused,
    Replied,
    ServingStatus,
    Unknown,
)
from transport.fastpath.calls import Call, CloseCarrier, OpenCarrier, Send, Tell
from transport.fastpath.core import NS_PER_MS, FastPathCore, Phase
from transport.wire.messages import GoingAway, Hello, Limits, Refusal, SubscribeReply, Welcome
from transport.wire.portable import PortableCodec, decode_message, encode_message


class Rig:
    """A core, a clock, and what the core asked for."""

    def __init__(self, **settings: Any) -> None:
        self.now_ns = 1_000_000_000
        defaults = {"connect_timeout_ms": 100, "reconnect_min_ms": 10, "reconnect_max_ms": 40, "max_in_flight": 4}
        self.config = BridgeConfig(**(defaults | settings))
        self.core = FastPathCore(self.config, PortableCodec(), jitter=lambda: 0.0)

    def actions(self) -> list[Any]:
        taken = list(self.core.actions)
        self.core.actions.clear()
        return taken

    def told(self) -> list[Any]:
        return [action.event for action in self.actions() if isinstance(action, Tell)]

    def engine_says(self, correlation: int, body: Any) -> None:
        self.core.received(encode_message(correlation, "", body), lambda: self.now_ns)

    def advance(self, ms: float) -> None:
        self.now_ns += int(ms * NS_PER_MS)
        self.core.on_time(self.now_ns)

    def greeting(self) -> tuple[int, Hello]:
        """Connect and say Hello; its correlation and body."""
        self.core.start(self.now_ns)
        return self.greet()

    def greet(self) -> tuple[int, Hello]:
        assert OpenCarrier() in self.actions()
        self.core.carrier_ready()
        (hello,) = [action for action in self.actions() if isinstance(action, Send)]
        correlation, _, body = decode_message(hello.data)
        return correlation, body

    def welcomed(self, **changes: Any) -> None:
        fields = {
            "protocol_version": 1, "contract_version": 1, "journal_id": JOURNAL, "epoch": 1,
            "limits": Limits(max_message_bytes=10_000, max_in_flight=3),
        }  # fmt: skip
        self.engine_says(1, Welcome(**(fields | changes)))

    def open(self) -> None:
        self.greeting()
        self.welcomed()
        self.actions()

    def send(self, timeout_ms: float = 50) -> Call:
        call = Call(self.core.next_correlation(), self.now_ns + int(timeout_ms * NS_PER_MS), ExecuteReply)
        conclusion = self.core.admit(call, b"order", self.core.journal_id)
        if conclusion is not None:
            call.conclude(conclusion)
        return call


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def opened(rig: Rig) -> Rig:
    rig.open()
    return rig


def test_it_connects_greets_and_opens(rig: Rig) -> None:
    assert rig.core.phase is Phase.IDLE
    _, hello = rig.greeting()
    assert rig.core.phase is Phase.GREETING
    assert (hello.protocol_version, hello.session_id, hello.account) == (1, rig.config.session_id, "default")
    rig.welcomed()
    assert rig.core.phase is Phase.OPEN
    assert rig.told() == [PathConnected(journal_id=JOURNAL, epoch=1, connection=1)]


def test_nothing_is_sent_before_it_is_open(rig: Rig) -> None:
    assert isinstance(rig.send().conclusion, NotSent)
    rig.greeting()
    assert isinstance(rig.send().conclusion, NotSent)


def test_a_reply_concludes_its_call_whatever_the_order(opened: Rig) -> None:
    first, second = opened.send(), opened.send()
    for call, duplicate in ((second, True), (first, False)):
        reply = filled(order())
        opened.engine_says(call.correlation, ExecuteReply(reply, duplicate))
        assert call.conclusion == Replied(reply, duplicate, call.correlation)
    assert opened.core.in_flight == {}


def test_a_refusal_concludes_that_copy_alone(opened: Rig) -> None:
    refused, other = opened.send(), opened.send()
    opened.engine_says(refused.correlation, Refusal(code=ReasonCode.BUSY, message="full", field=""))
    assert refused.conclusion == Refused(ReasonCode.BUSY, "full", "")
    assert other.conclusion is None
    assert opened.core.phase is Phase.OPEN


def test_the_window_is_the_smaller_of_both_limits(opened: Rig) -> None:
    calls = [opened.send() for _ in range(4)]
    assert [call.conclusion is None for call in calls] == [True, True, True, False]
    assert isinstance(calls[3].conclusion, NotSent)
    opened.engine_says(calls[0].correlation, ExecuteReply(filled(order())))
    assert opened.send().conclusion is None


def test_a_message_above_the_engines_limit_is_refused_here(opened: Rig) -> None:
    call = Call(opened.core.next_correlation(), opened.now_ns, ExecuteReply)
    conclusion = opened.core.admit(call, b"x" * 10_001, JOURNAL)
    assert isinstance(conclusion, Refused) and conclusion.code == ReasonCode.MESSAGE_TOO_LARGE


def test_what_the_carrier_did_not_take_was_not_sent(opened: Rig) -> None:
    call = opened.send()
    assert isinstance(opened.core.withdraw(call), NotSent)
    assert opened.core.in_flight == {}


def test_a_deadline_leaves_the_outcome_unknown_and_a_late_reply_is_ignored(opened: Rig) -> None:
    short, long = opened.send(timeout_ms=50), opened.send(timeout_ms=80)
    assert opened.core.timer_ns() == opened.now_ns + 50 * NS_PER_MS
    opened.advance(50)
    assert isinstance(short.conclusion, Unknown) and long.conclusion is None
    opened.engine_says(short.correlation, ExecuteReply(filled(order())))
    assert isinstance(short.conclusion, Unknown)
    assert opened.core.late_replies == 1
    opened.advance(30)
    assert isinstance(long.conclusion, Unknown)


def test_a_lost_connection_leaves_everything_in_flight_unknown(opened: Rig) -> None:
    calls = [opened.send(), opened.send()]
    opened.core.carrier_lost("reset by peer", opened.now_ns)
    assert [call.conclusion for call in calls] == [Unknown("reset by peer")] * 2
    assert opened.core.phase is Phase.BACKOFF
    assert opened.actions() == [CloseCarrier(), Tell(PathLost(reason="reset by peer", in_flight=2))]


def test_it_comes_back_with_pauses_that_double_up_to_the_longest(rig: Rig) -> None:
    rig.core.start(rig.now_ns)
    pauses = []
    for _ in range(5):
        assert OpenCarrier() in rig.actions()
        rig.core.carrier_lost("nobody there", rig.now_ns)
        pauses.append(((rig.core.timer_ns() or 0) - rig.now_ns) / NS_PER_MS)
        rig.advance(pauses[-1] - 0.001)
        assert rig.core.phase is Phase.BACKOFF
        rig.advance(0.001)
    assert pauses == [10, 20, 40, 40, 40]


def test_the_pauses_begin_anew_after_it_was_open(rig: Rig) -> None:
    rig.core.start(rig.now_ns)
    rig.core.carrier_lost("nobody there", rig.now_ns)
    rig.advance(10)
    rig.greet()
    rig.welcomed()
    rig.core.carrier_lost("reset", rig.now_ns)
    assert rig.core.timer_ns() == rig.now_ns + 10 * NS_PER_MS


@pytest.mark.parametrize("greeted", [False, True])
def test_a_handshake_that_takes_too_long_is_given_up(rig: Rig, greeted: bool) -> None:
    if greeted:
        rig.greeting()
    else:
        rig.core.start(rig.now_ns)
    rig.advance(100)
    assert rig.core.phase is Phase.BACKOFF
    (refused,) = rig.told()
    assert isinstance(refused, PathRefused) and "within 100 ms" in refused.reason


def test_a_new_connection_carries_nothing_over(opened: Rig) -> None:
    old = opened.send()
    opened.core.carrier_lost("reset", opened.now_ns)
    opened.actions()
    opened.advance(10)
    opened.greet()
    opened.welcomed()
    assert opened.core.connection == 2
    opened.engine_says(old.correlation, ExecuteReply(filled(order())))
    assert isinstance(old.conclusion, Unknown)
    assert opened.send().correlation > old.correlation


def test_the_next_hello_says_which_update_was_seen_last(opened: Rig) -> None:
    call = opened.send()
    opened.engine_says(call.correlation, ExecuteReply(filled(order(), sequence=41)))
    opened.core.carrier_lost("reset", opened.now_ns)
    opened.actions()
    opened.advance(10)
    _, hello = opened.greet()
    assert hello.resume_from == 41


@pytest.mark.parametrize(
    ("welcome", "code"),
    [
        ({"journal_id": "another"}, ReasonCode.JOURNAL_ID_MISMATCH),
        ({"last_sequence": 40}, ReasonCode.STATE_REGRESSED),
        ({"last_sequence": 41, "epoch": 0}, ReasonCode.STATE_REGRESSED),
        ({"last_sequence": 41, "protocol_version": 2}, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
        ({"last_sequence": 41, "journal_id": ""}, ReasonCode.MALFORMED_MESSAGE),
    ],
    ids=str,
)
def test_an_engine_that_is_not_the_one_halts_the_path_loudly(
    opened: Rig, welcome: dict[str, Any], code: ReasonCode
) -> None:
    call = opened.send()
    opened.engine_says(call.correlation, ExecuteReply(filled(order(), sequence=41)))
    opened.core.carrier_lost("reset", opened.now_ns)
    opened.advance(10)
    opened.actions()
    opened.core.carrier_ready()
    opened.welcomed(**({"last_sequence": 41} | welcome))
    assert opened.core.phase is Phase.HALTED
    conclusion = opened.send().conclusion
    assert isinstance(conclusion, Refused) and conclusion.code == code
    opened.advance(10_000)
    looks_again = code == ReasonCode.JOURNAL_ID_MISMATCH
    assert opened.core.phase is (Phase.CONNECTING if looks_again else Phase.HALTED)


def test_a_mismatch_that_passes_is_found_out_and_until_then_is_what_every_request_gets(opened: Rig) -> None:
    opened.core.carrier_lost("reset", opened.now_ns)
    opened.advance(10)
    opened.greet()
    opened.welcomed(journal_id="another")
    assert opened.core.phase is Phase.HALTED
    opened.actions()
    opened.advance(20)
    assert opened.core.phase is Phase.CONNECTING
    conclusion = opened.send().conclusion
    assert isinstance(conclusion, Refused) and conclusion.code == ReasonCode.JOURNAL_ID_MISMATCH
    opened.greet()
    opened.welcomed()
    assert opened.core.phase is Phase.OPEN
    assert opened.send().conclusion is None
    opened.core.carrier_lost("reset", opened.now_ns)
    assert isinstance(opened.send().conclusion, NotSent)


def test_another_journal_is_called_that_and_not_a_regression(opened: Rig) -> None:
    opened.core.carrier_lost("reset", opened.now_ns)
    opened.advance(10)
    correlation, _ = opened.greet()
    opened.engine_says(correlation, Refusal(code=ReasonCode.STATE_REGRESSED, journal_id="another"))
    assert opened.core.halted.code == ReasonCode.JOURNAL_ID_MISMATCH


@pytest.mark.parametrize(
    ("code", "phase"),
    [
        (ReasonCode.STATE_REGRESSED, Phase.HALTED),
        (ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, Phase.HALTED),
        (ReasonCode.PERMISSION_DENIED, Phase.HALTED),
        (ReasonCode.BUSY, Phase.BACKOFF),
        (ReasonCode.SHUTTING_DOWN, Phase.BACKOFF),
        (ReasonCode.TOO_MANY_CONNECTIONS, Phase.BACKOFF),
    ],
    ids=lambda value: value.name,
)
def test_a_refused_hello_halts_or_waits_as_its_code_says(rig: Rig, code: ReasonCode, phase: Phase) -> None:
    correlation, _ = rig.greeting()
    rig.engine_says(correlation, Refusal(code=code, message="no", supported_protocol_versions=(2, 3)))
    assert rig.core.phase is phase
    (refused,) = rig.told()
    assert isinstance(refused, PathRefused) and refused.code == code


def test_a_mismatch_found_by_a_request_halts_the_path(opened: Rig) -> None:
    call = opened.send()
    opened.engine_says(call.correlation, Refusal(code=ReasonCode.JOURNAL_ID_MISMATCH))
    assert isinstance(call.conclusion, Refused)
    assert opened.core.phase is Phase.HALTED


def test_going_away_takes_nothing_new_and_waits_for_what_is_owed(opened: Rig) -> None:
    owed = opened.send()
    opened.engine_says(0, GoingAway("maintenance", 500))
    assert opened.told() == [PathGoingAway(message="maintenance", drain_ms=500)]
    assert isinstance(opened.send().conclusion, NotSent)
    opened.engine_says(owed.correlation, ExecuteReply(filled(order())))
    assert isinstance(owed.conclusion, Replied)
    opened.core.carrier_lost("closed", opened.now_ns)
    assert opened.core.phase is Phase.BACKOFF


@pytest.mark.parametrize("garbage", [b"", b"garbage that is long enough", b"\0" * 40])
def test_garbage_costs_the_connection(opened: Rig, garbage: bytes) -> None:
    call = opened.send()
    opened.core.received(garbage, lambda: opened.now_ns)
    assert opened.core.phase is Phase.BACKOFF
    assert isinstance(call.conclusion, Unknown)


def test_an_answer_of_the_wrong_kind_settles_nothing(opened: Rig) -> None:
    call = opened.send()
    opened.engine_says(call.correlation, Health(status=ServingStatus.SERVING))
    assert isinstance(call.conclusion, Unknown)
    assert opened.core.phase is Phase.BACKOFF


def test_messages_of_a_subscription_go_to_its_stream(opened: Rig) -> None:
    taken: list[Any] = []
    opened.core.streams[77] = taken.append
    opened.engine_says(77, SubscribeReply("default", 5))
    assert taken == [SubscribeReply("default", 5)]


def test_a_second_journal_cannot_be_bound(opened: Rig) -> None:
    opened.core.bind_journal(JOURNAL)
    with pytest.raises(JournalMismatchError, match="another"):
        opened.core.bind_journal("another")


def test_a_bound_journal_is_asked_of_the_engine(rig: Rig) -> None:
    rig.core.bind_journal("the other path's")
    rig.greeting()
    rig.welcomed()
    assert rig.core.phase is Phase.HALTED


def test_who_waits_for_the_path_to_open_is_told(rig: Rig) -> None:
    rig.core.start(rig.now_ns)
    failed = rig.core.watch_open(rig.now_ns)
    rig.core.carrier_lost("nobody there", rig.now_ns)
    assert failed.conclusion == NotSent("nobody there")
    rig.advance(10)
    rig.actions()
    opened = rig.core.watch_open(rig.now_ns)
    rig.core.carrier_ready()
    rig.welcomed()
    assert isinstance(opened.conclusion, Replied)
    assert isinstance(rig.core.watch_open(rig.now_ns).conclusion, Replied)


def test_close_ends_everything(opened: Rig) -> None:
    call = opened.send()
    opened.core.close()
    assert isinstance(call.conclusion, Unknown)
    assert opened.core.phase is Phase.CLOSED
    assert CloseCarrier() in opened.actions()
    opened.advance(10_000)
    assert opened.actions() == []
    assert isinstance(opened.send().conclusion, NotSent)


def test_the_documented_table_has_every_phase() -> None:
    import transport.fastpath.core as module

    rows = {line.split("|")[1].strip() for line in (module.__doc__ or "").splitlines() if line.startswith("| ")}
    assert {phase.name for phase in Phase} - {"CLOSED"} <= rows
