"""Who of several gets a task."""

from dataclasses import replace

from agentorchestr.model.mail import Address, AgentCard, DelegatedState, DelegatedTask
from agentorchestr.swarm.picking import Patience, Watch, deadline, pick
from tests.swarm.transport_contract import ANN, BEN, CAT

NOW = 1000.0
PATIENCE = Patience(accept_s=60, lease_s=120, gone_s=10)


def card(address: Address, *, slots: int = 1, seen_at: float = NOW, online: bool = True) -> AgentCard:
    return AgentCard(address, free_slots=slots, seen_at=seen_at, online=online)


def watch(**changes: object) -> Watch:
    task = DelegatedTask("t", ANN, "review", "text", expires_at=NOW + 500)
    return Watch(replace(task, **changes), heard_at=NOW)  # type: ignore[arg-type]


def picked(*cards: AgentCard, others: tuple[Watch, ...] = (), mine: Watch | None = None) -> Address | None:
    return pick(mine or watch(), cards, others=others, now=NOW, patience=PATIENCE)


def test_the_one_with_most_room_and_then_the_one_seen_last() -> None:
    assert picked(card(BEN), card(CAT, slots=2)) == CAT
    assert picked(card(BEN, seen_at=NOW - 1), card(CAT, seen_at=NOW - 2)) == BEN


def test_nobody_who_is_full_offline_or_the_requester() -> None:
    assert picked(card(BEN, slots=0), card(CAT, online=False), card(ANN, slots=9)) is None


def test_offers_that_a_card_does_not_know_of_yet_take_room() -> None:
    offered = watch(assignee=BEN, attempt=1)
    offered.offered_at[BEN] = NOW - 1
    assert picked(card(BEN, slots=2, seen_at=NOW - 2), card(CAT), others=(offered, offered)) == CAT
    assert picked(card(BEN, slots=2, seen_at=NOW), card(CAT), others=(offered, offered)) == BEN


def test_who_had_it_is_asked_again_only_after_a_while() -> None:
    mine = watch()
    mine.offered_at[BEN] = NOW - 59
    assert picked(card(BEN), mine=mine) is None
    assert deadline(mine, PATIENCE)[0] == NOW + 1
    mine.offered_at[BEN] = NOW - 60
    assert picked(card(BEN), mine=mine) == BEN


def test_a_named_agent_gets_it_in_any_case() -> None:
    assert picked(card(BEN), mine=watch(capability="", assignee=CAT)) == CAT


def test_how_long_a_task_may_stay_as_it_is() -> None:
    offered = watch(assignee=BEN, attempt=1)
    assert deadline(offered, PATIENCE) == (NOW + 60, f"{BEN} did not take it up")
    working = watch(assignee=BEN, attempt=1, state=DelegatedState.IN_PROGRESS)
    assert deadline(working, PATIENCE) == (NOW + 120, f"{BEN} went silent")
    working.gone_at = NOW
    assert deadline(working, PATIENCE) == (NOW + 10, f"{BEN} left")
    named = watch(capability="", assignee=BEN, attempt=1)
    named.gone_at = NOW
    assert deadline(named, PATIENCE)[0] == NOW + 500
