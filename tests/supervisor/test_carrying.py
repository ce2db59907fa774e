from typing import cast

import pytest

from agentorchestr.errors import MissingDependency, UsageError
from agentorchestr.paths import Paths, ensure_private
from agentorchestr.supervisor.post import Share
from agentorchestr.wiring import carrying

SHARE = cast("Share", None)
pytestmark = pytest.mark.anyio


async def test_without_a_broker_program_the_reason_is_told_with_what_to_type(
    private_paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingDependency("mosquitto is not installed", hint="apt-get install mosquitto")

    monkeypatch.setattr(carrying, "ensure_broker", missing)
    ensure_private(private_paths.session("s1"))
    found = await carrying.open_carrier(private_paths, "s1", broker_url="", env={}, share=SHARE)
    assert isinstance(found, carrying.NoBus)
    assert "apt-get install mosquitto" in found.why


@pytest.mark.parametrize("url", ["mqtt://me:pw@host", "http://host", "unix:relative"])
async def test_a_broker_that_cannot_be_used_is_one_clear_error(private_paths: Paths, url: str) -> None:
    ensure_private(private_paths.session("s1"))
    with pytest.raises(UsageError) as told:
        await carrying.open_carrier(private_paths, "s1", broker_url=url, env={}, share=SHARE)
    assert "pw" not in str(told.value)
