"""The clients' ledger: what is written is read back, and a line that a kill cut in two is left out."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from tests.chaos.actors.books import ClientBook
from tests.chaos.actors.doubts import Doubts
from tests.chaos.actors.ledger_file import LedgerFile, order_of_words, order_words, read_ledger, reply_words
from tests.chaos.actors.orders import random_order
from transport import ExecutionStatus, OrderReply, OrderUpdate, UpdateKind


def test_an_order_is_read_back_as_it_was() -> None:
    draw = random.Random(1)
    for _ in range(200):
        order = random_order(draw)
        assert order_of_words(json.loads(json.dumps(order_words(order)))) == order


def test_a_later_life_finds_what_an_earlier_one_left_open(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    answered, open_order, in_doubt = (random_order(random.Random(number)) for number in range(3))
    first = LedgerFile(path, life=1)
    number = first.intent("order", orders=[order_words(answered)])
    first.write(
        {"e": "reply", "n": number, "reply": reply_words(OrderReply(answered.order_id, ExecutionStatus.FILLED))}
    )
    first.intent("batch", orders=[order_words(open_order)])
    number = first.intent("order", orders=[order_words(in_doubt)])
    first.write({"e": "end", "n": number, "how": "OutcomeUnknownError", "ids": [in_doubt.order_id]})
    first.intent("cancel_order", command={"command_id": "c", "order_id": "x"})
    first.update(OrderUpdate(3, UpdateKind.ACCEPTED, OrderReply("x", ExecutionStatus.PENDING, quantity=Decimal(1))))
    LedgerFile(path, life=2)
    book = ClientBook.read("client", read_ledger(path))
    assert set(book.orders_in_doubt()) == {open_order.order_id, in_doubt.order_id}
    assert order_of_words(book.orders_in_doubt()[in_doubt.order_id]) == in_doubt
    assert set(book.commands_in_doubt()) == {"c"}
    assert (book.lives, book.last_sequence) == (2, 3)
    doubts = Doubts.of_earlier_lives(read_ledger(path))
    assert (set(doubts.orders), set(doubts.commands)) == (set(book.orders_in_doubt()), {"c"})
    assert (doubts.lives, doubts.last_sequence) == (2, 3)


def test_a_doubt_ends_with_a_reply_or_a_fence_and_is_followed_as_the_ledger_grows(tmp_path: Path) -> None:
    doubts = Doubts()
    ledger = LedgerFile(tmp_path / "ledger.jsonl", 1, doubts.take)
    first, second = (random_order(random.Random(number)) for number in range(2))
    for order in (first, second):
        number = ledger.intent("order", orders=[order_words(order)])
        ledger.write({"e": "end", "n": number, "how": "OutcomeUnknownError", "ids": [order.order_id]})
    assert set(doubts.orders) == {first.order_id, second.order_id}
    number = ledger.intent("resolve", orders=[order_words(first)])
    ledger.write({"e": "reply", "n": number, "reply": reply_words(OrderReply(first.order_id, ExecutionStatus.FILLED))})
    ledger.write({"e": "end", "n": number, "how": "done"})
    number = ledger.intent("fence", command={"order_id": second.order_id})
    ledger.write({"e": "answer", "n": number, "answer": {"found": False, "fenced": True, "reply": None}})
    ledger.write({"e": "end", "n": number, "how": "done"})
    assert doubts.orders == {}


@pytest.mark.parametrize("again", [False, True])
def test_half_a_line_of_a_killed_client_is_left_out(tmp_path: Path, again: bool) -> None:
    path = tmp_path / "ledger.jsonl"
    LedgerFile(path, life=1).write({"e": "whole"})
    with path.open("ab") as file:
        file.write(b'{"e":"inte')
    if again:
        LedgerFile(path, life=2)
    events = [entry["e"] for entry in read_ledger(path)]
    assert events == ["started", "whole", *(["torn", "started"] if again else [])]


def test_damage_in_the_middle_is_loud(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"e":"inte\n{"e":"started"}\n')
    with pytest.raises(ValueError, match=r"ledger.jsonl, line 1"):
        list(read_ledger(path))
