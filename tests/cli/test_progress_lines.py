from dataclasses import replace

from agentorchestr.cli.progress import changed_lines
from agentorchestr.model.facts import SessionCreated
from agentorchestr.model.view import SessionView

CREATED = SessionCreated(
    "s1", "goal", "/p", "/p", "main", "c0", "a", ("a",), 2, (), 0.0, land=False, manual=False
)


def test_what_is_missing_for_the_bus_is_said_once() -> None:
    view = SessionView(CREATED, 0.0)
    told = replace(view, off_bus="mosquitto is not installed. apt-get install mosquitto")
    (line,) = changed_lines(view, told)
    assert line.endswith("apt-get install mosquitto")
    assert list(changed_lines(told, told)) == []
