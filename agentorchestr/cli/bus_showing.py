"""Letters as lines for a person; what others wrote never passes for a line of ours."""

import time
from collections.abc import Sequence

from agentorchestr.bus.names import short_name
from agentorchestr.bus.shapes import letter_shape
from agentorchestr.cli.render import Screen
from agentorchestr.cli.text import clean, clean_lines
from agentorchestr.model.mail import Letter, LetterKind, LetterState, Standing
from agentorchestr.swarm.artifacts import ref_of


def show_letter(screen: Screen, letter: Letter) -> None:
    """Show a letter as a heading and its body, indented, so that no body passes for a heading."""
    told = time.strftime("%Y-%m-%d %H:%M", time.localtime(letter.created_at))
    to_all = " to all" if letter.receiver is None else ""
    priority = "" if letter.priority == "normal" else f" [{letter.priority}]"
    unverified = "" if letter.verified else " (sender not verified)"
    kind = "" if letter.kind is LetterKind.NOTE else f" {letter.kind.value}"
    screen.line(f"{told} {short_name(letter.sender)}{to_all}{kind}{priority}{unverified}  {letter.letter_id}")
    if letter.subject:
        screen.line(f"subject: {letter.subject}", indent=2)
    ref = ref_of(letter.body)
    if ref is not None:
        name = f" {clean(ref.name)}" if ref.name else ""
        screen.line(f"{ref.size:,} bytes of {clean(ref.content_type)}{name}, not shown here", indent=4)
        screen.line(f"get them: agentorchestr bus fetch {letter.letter_id}", indent=4)
        return
    for line in clean_lines(letter.body):
        screen.line(line, indent=4)


def show_letters(screen: Screen, letters: Sequence[Letter], *, empty: str) -> None:
    """Show letters, or say that there are none."""
    if screen.as_json:
        screen.envelope("letters", {"letters": [letter_shape(letter) for letter in letters]})
        return
    for letter in letters:
        show_letter(screen, letter)
    if not letters:
        screen.line(empty)


def standing_line(standing: Standing) -> str:
    """Say how far a letter got, as a person would."""
    letter = standing.letter
    name = short_name(letter.receiver) if letter.receiver else "all"
    if standing.state is LetterState.STORED:
        why = f": {standing.why}" if standing.why else ""
        return f"kept for {name}{why}; it goes out by itself  {letter.letter_id}"
    said = {
        LetterState.SENT: "sent to",
        LetterState.REFUSED: "refused for",
        LetterState.EXPIRED: "expired for",
    }
    why = f" ({standing.why})" if standing.why else ""
    return f"{said.get(standing.state, f'{standing.state.value} by')} {name}{why}  {letter.letter_id}"
