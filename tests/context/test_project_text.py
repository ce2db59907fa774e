"""What of the repository's own texts reaches a brief."""

import os
from pathlib import Path

from agentorchestr.context.project_text import LIMIT_BYTES, project_text


def test_a_repository_without_texts_gives_nothing(tmp_path: Path) -> None:
    assert project_text(tmp_path) == ""


def test_our_folder_goes_before_the_root(tmp_path: Path) -> None:
    folder = tmp_path / ".agentorchestr"
    folder.mkdir()
    (folder / "PROJECT.md").write_text("from our folder")
    (tmp_path / "PROJECT.md").write_text("from the root")
    (tmp_path / "CONVENTIONS.md").write_text("four spaces")
    text = project_text(tmp_path)
    assert "from our folder" in text
    assert "from the root" not in text
    assert "CONVENTIONS.md:\nfour spaces" in text


def test_a_long_file_is_cut_at_a_line_and_says_so(tmp_path: Path) -> None:
    lines = "".join(f"line {number:05d}\n" for number in range(LIMIT_BYTES))
    (tmp_path / "PROJECT.md").write_text(lines)
    text = project_text(tmp_path)
    assert f"[cut: {len(lines)} bytes, read PROJECT.md for the rest]" in text
    last = text.splitlines()[-2]
    assert f"{last}\n" in lines
    assert len(text) < LIMIT_BYTES + 200


def test_a_character_cut_in_half_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "PROJECT.md").write_bytes(("é" * LIMIT_BYTES).encode())
    assert "[cut:" in project_text(tmp_path)


def test_a_link_out_of_the_repository_brings_nothing_in_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("private")
    root = tmp_path / "repo"
    root.mkdir()
    (root / "PROJECT.md").symlink_to(tmp_path / "secret")
    (root / "CONVENTIONS.md").symlink_to(root / "CONVENTIONS.md")
    text = project_text(root)
    assert "private" not in text
    assert text.count("[left out: it") == 2


def test_a_pipe_in_place_of_the_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "PROJECT.md")
    assert "no plain file" in project_text(tmp_path)
