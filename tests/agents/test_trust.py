import json
import stat
import threading
from pathlib import Path

import pytest

from agentorchestr.agents.launch import trust_repository
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.errors import AgentNotReady


@pytest.fixture
def claude(catalogue: dict[str, AgentSpec]) -> AgentSpec:
    return catalogue["claude"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def settings(home: Path) -> dict[str, dict[str, dict[str, object]]]:
    found = json.loads((home / ".claude.json").read_text())
    assert isinstance(found, dict)
    return found


def test_the_repository_is_trusted_and_everything_else_kept(
    claude: AgentSpec, home: Path, repo: Path
) -> None:
    before = {
        "userID": "ü",
        "projects": {"/other": {"history": [1, 2.5, None]}, str(repo): {"mcpServers": {}}},
    }
    file = home / ".claude.json"
    file.write_text(json.dumps(before))
    file.chmod(0o640)
    trust_repository(claude, repo, {"HOME": str(home)})
    after = settings(home)
    assert after["projects"][str(repo)].pop("hasTrustDialogAccepted") is True
    assert after == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [one.name for one in home.iterdir() if one.name.startswith(".claude")] == [".claude.json"]


def test_a_trusted_repository_leaves_the_file_alone(claude: AgentSpec, home: Path, repo: Path) -> None:
    trust_repository(claude, repo, {"HOME": str(home)})
    before = (home / ".claude.json").stat()
    trust_repository(claude, repo, {"HOME": str(home)})
    after = (home / ".claude.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_its_own_config_folder_counts(claude: AgentSpec, home: Path, repo: Path) -> None:
    elsewhere = home / "claude config"
    trust_repository(claude, repo, {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(elsewhere)})
    assert settings(elsewhere)["projects"][str(repo)]["hasTrustDialogAccepted"] is True
    assert not (home / ".claude.json").exists()


@pytest.mark.parametrize("content", ['{"projects": {', "[]", '{"projects": []}', ""])
def test_an_unreadable_file_is_never_replaced(
    claude: AgentSpec, home: Path, repo: Path, content: str
) -> None:
    (home / ".claude.json").write_text(content)
    with pytest.raises(AgentNotReady):
        trust_repository(claude, repo, {"HOME": str(home)})
    assert (home / ".claude.json").read_text() == content
    assert not (home / ".claude.json.lock").exists()


def test_first_start_screens_are_skipped_only_for_who_has_a_key(
    claude: AgentSpec, home: Path, repo: Path
) -> None:
    trust_repository(claude, repo, {"HOME": str(home)})
    assert "hasCompletedOnboarding" not in settings(home)
    (home / ".claude.json").unlink()
    trust_repository(claude, repo, {"HOME": str(home), "ANTHROPIC_AUTH_TOKEN": "t"})
    assert settings(home)["hasCompletedOnboarding"] is True
    assert stat.S_IMODE((home / ".claude.json").stat().st_mode) == 0o600


def test_a_key_of_the_environment_is_approved_unless_the_person_refused(
    claude: AgentSpec, home: Path, repo: Path
) -> None:
    env = {"HOME": str(home), "ANTHROPIC_API_KEY": "sk-" + "0123456789" * 3}
    tail = "0123456789" * 2
    trust_repository(claude, repo, env)
    assert settings(home)["customApiKeyResponses"] == {"approved": [tail], "rejected": []}
    (home / ".claude.json").write_text(json.dumps({"customApiKeyResponses": {"rejected": [tail]}}))
    trust_repository(claude, repo, env)
    assert settings(home)["customApiKeyResponses"] == {"approved": [], "rejected": [tail]}


def test_a_link_stays_a_link(claude: AgentSpec, home: Path, repo: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text("{}")
    (home / ".claude.json").symlink_to(real)
    trust_repository(claude, repo, {"HOME": str(home)})
    assert (home / ".claude.json").is_symlink()
    assert str(repo) in real.read_text()


def test_many_at_once_lose_nothing(claude: AgentSpec, home: Path, tmp_path: Path) -> None:
    folders = [tmp_path / f"r{number}" for number in range(12)]
    threads = [
        threading.Thread(target=trust_repository, args=(claude, folder, {"HOME": str(home)}))
        for folder in folders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert set(settings(home)["projects"]) == {str(folder) for folder in folders}


def test_a_lock_of_a_living_program_is_respected(
    claude: AgentSpec, home: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentorchestr.agents.trust.LOCK_WAIT_S", 0.1)
    (home / ".claude.json.lock").mkdir()
    with pytest.raises(AgentNotReady, match="locked"):
        trust_repository(claude, repo, {"HOME": str(home)})
    assert (home / ".claude.json.lock").is_dir()
    monkeypatch.setattr("agentorchestr.agents.trust.LOCK_STALE_S", -1.0)
    trust_repository(claude, repo, {"HOME": str(home)})
    assert str(repo) in settings(home)["projects"]


def test_other_agents_need_nothing(catalogue: dict[str, AgentSpec], home: Path, repo: Path) -> None:
    before = set(home.iterdir())
    trust_repository(catalogue["codex"], repo, {"HOME": str(home)})
    assert set(home.iterdir()) == before
