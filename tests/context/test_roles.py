"""The role cards that ship, and what a broken card is answered with."""

from pathlib import Path

import pytest

from agentorchestr.context.roles import load_roles
from agentorchestr.errors import OrchestrError

READING = {"reviewer", "security", "performance", "verifier", "researcher"}


def test_the_seven_perspectives_ship_and_only_two_may_edit() -> None:
    roles = load_roles()
    assert set(roles) == READING | {"implementer", "tester"}
    assert {name for name, card in roles.items() if not card.may_edit} == READING


def test_a_card_says_what_to_deliver_and_stays_short() -> None:
    for card in load_roles().values():
        assert "Deliver:" in card.text
        assert len(card.text) < 600
        assert card.title


@pytest.mark.parametrize(
    "text",
    [
        "no head at all\n",
        "---\ntitle: x\n---\nno right to edit\n",
        "---\ntitle: x\nmay_edit: perhaps\n---\nbody\n",
        "---\nmay_edit: true\n---\nno title\n",
        "---\ntitle: x\nmay_edit: true\ncolour: red\n---\nunknown field\n",
        "---\ntitle x\nmay_edit: true\n---\nno colon\n",
        "before\n---\ntitle: x\nmay_edit: true\n---\nbody\n",
    ],
)
def test_a_broken_card_is_named_by_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.md").write_text(text)
    with pytest.raises(OrchestrError, match=r"odd\.md"):
        load_roles(tmp_path)
