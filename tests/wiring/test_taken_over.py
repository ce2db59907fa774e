from agentorchestr.errors import OrchestrError, StaleGeneration
from agentorchestr.wiring.supervise import split_stale

STALE = StaleGeneration("a newer supervisor owns this session")


def test_a_newer_supervisor_is_seen_through_nested_task_groups() -> None:
    assert split_stale(STALE) == (True, None)
    assert split_stale(ExceptionGroup("server", [ExceptionGroup("session", [STALE])])) == (True, None)


def test_what_failed_beside_it_is_kept_for_the_log() -> None:
    other = OrchestrError("the port is gone")
    stale, rest = split_stale(ExceptionGroup("server", [ExceptionGroup("session", [STALE, STALE]), other]))
    assert stale
    assert isinstance(rest, ExceptionGroup)
    assert rest.exceptions == (other,)


def test_other_faults_are_not_taken_for_it() -> None:
    group = ExceptionGroup("server", [OrchestrError("x")])
    stale, rest = split_stale(group)
    assert not stale
    assert rest is not None
    assert split_stale(OrchestrError("x")) == (False, None)
