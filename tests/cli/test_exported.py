"""A journal as a file: exported, shown again as it was, and followed as JSON."""

import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from agentorchestr.cli.main import cli
from agentorchestr.cli.product import Shell
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import SessionEnded
from agentorchestr.model.states import Outcome
from agentorchestr.paths import ensure_private


def test_an_exported_session_is_shown_as_it_was(stage: Any, make_facts: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "s.journal")
    shell = Shell(env=stage.env, cwd=stage.project)
    folder = ensure_private(shell.paths.session("abc123"))
    created, spawned = make_facts
    with Journal.create(folder) as journal:
        journal.append([created("abc123", project=str(stage.project)), spawned("w1")])

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli, list(words), obj=shell)

    early = run("logs", "abc123", "--export", file)
    assert early.exit_code == 1
    assert "is not over" in early.stderr
    with Journal.take_over(folder) as journal:
        journal.append([SessionEnded(Outcome.FAILED, "no")])
    told = {
        words: run(*words, "abc123").stdout for words in (("logs",), ("logs", "--json"), ("status", "--json"))
    }
    assert "3 facts of session abc123" in run("logs", "abc123", "--export", file).stdout
    shutil.rmtree(folder)
    for words, said in told.items():
        assert run(*words, "--from", file).stdout == said
        assert said
    for words in (
        ("logs", "abc", "--from", file),
        ("logs", "--follow", "--export", file),
        ("status", "a", "--from", file),
    ):
        assert run(*words).exit_code == 1


def test_followed_facts_are_one_json_document_per_line(stage: Any, make_facts: Any) -> None:
    created, spawned = make_facts
    stage.product.add("abc123", created("abc123"), spawned("w1"), SessionEnded(Outcome.DONE, ""))
    lines = stage.run("logs", "abc123", "--follow", "--json", "--after", "1").stdout.splitlines()
    assert [json.loads(line)["data"]["seq"] for line in lines] == [2, 3]
    assert {json.loads(line)["kind"] for line in lines} == {"fact"}
