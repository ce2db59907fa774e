from pathlib import Path

import pytest

from agentorchestr.config.project import ProjectConfig, load_project_config
from agentorchestr.config.user import load_user_config
from agentorchestr.errors import UsageError


def write(root: Path, text: str) -> Path:
    path = root / ".agentorchestr" / "config.toml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def test_a_project_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert load_project_config(tmp_path) == ProjectConfig()


def test_all_keys_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        'checks = "make test"\n[worktree]\ncopy = [".env"]\nlink = ["node_modules"]\n'
        'setup = ["npm ci"]\nports = ["PORT"]\n',
    )
    found = load_project_config(tmp_path)
    assert found.checks == ("make test",)
    assert found.worktree.copies == (".env",)
    assert found.worktree.links == ("node_modules",)
    assert found.worktree.setup == ("npm ci",)
    assert found.worktree.ports == ("PORT",)
    assert found.commands == ("make test", "npm ci")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('checks = ["a"]\n[worktree\ncopy = []\n', 2, "[worktree"),
        ('checks = ["a"]\n\ncolour = 1\n', 3, "colour"),
        ("[worktree]\n\ncopy = 3\n", 3, "worktree.copy"),
        ('[worktree]\ncopy = ["../secret"]\n', 2, "worktree.copy"),
        ('[worktree]\nlink = ["/etc/passwd"]\n', 2, "worktree.link"),
        ('[worktree]\nlink = [".git/hooks"]\n', 2, "worktree.link"),
        ('checks = [""]\n', 1, "checks"),
        ('[worktree]\nports = ["lower case"]\n', 2, "worktree.ports"),
        ('[agents.evil]\nbinaries = ["x"]\n', 1, "agents"),
    ],
)
def test_a_bad_file_names_file_line_and_key(tmp_path: Path, text: str, line: int, key: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_project_config(tmp_path)
    assert str(caught.value).startswith(f"{path}, line {line}, key {key}:")
    assert caught.value.hint


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    outside.write_text('checks = "true"\n')
    (tmp_path / "project" / ".agentorchestr").mkdir(parents=True)
    (tmp_path / "project" / ".agentorchestr" / "config.toml").symlink_to(outside)
    with pytest.raises(UsageError, match="leads out of"):
        load_project_config(tmp_path / "project")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".agentorchestr" / "config.toml").mkdir(parents=True)
    with pytest.raises(UsageError, match="not a plain file"):
        load_project_config(tmp_path)


def test_bytes_that_are_not_utf8_name_the_line(tmp_path: Path) -> None:
    write(tmp_path, "").write_bytes(b"# fine\nchecks = '\xff'\n")
    with pytest.raises(UsageError, match=r"line 2: not UTF-8"):
        load_project_config(tmp_path)


def test_a_persons_defaults_are_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text('lead = "claude"\nagents = ["codex"]\nmax_workers = 3\n')
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").symlink_to(tmp_path / "dotfiles.toml")
    found = load_user_config(tmp_path / "config")
    assert (found.lead, found.agents, found.max_workers, found.attach) == ("claude", ("codex",), 3, None)


def test_a_persons_defaults_keep_the_limits(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("max_workers = 33\n")
    with pytest.raises(UsageError, match="line 1, key max_workers"):
        load_user_config(tmp_path)
