"""Who is on the bus in these tests, and how a raw peer talks to them."""

import pytest

from tests.a2a.agents import Puppet
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()
