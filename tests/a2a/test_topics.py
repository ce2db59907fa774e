"""C3 to C5 and P1 to P5: ids and topic names."""

import pytest

from agentorchestr.a2a.pool import member_filters
from agentorchestr.a2a.topics import GROUP_CHARS, PROFILE_TOPICS, Pool, Topics, reply_suffix
from agentorchestr.model.mail import Address
from tests.a2a.raw import ANN

BAD_IDS = ["", "a b", "a/b", "a+", "#", "ü", "a\n", "a" * 65]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_C3_ids_are_letters_digits_dot_dash_and_underscore(bad: str) -> None:
    for place in range(3):
        parts = ["org", "unit", "agent"]
        parts[place] = bad
        with pytest.raises(ValueError, match="id of the bus"):
            Address(*parts)
        with pytest.raises(ValueError, match="id of the bus"):
            Pool(*parts)
    with pytest.raises(ValueError, match="id of the bus"):
        PROFILE_TOPICS.reply(ANN, bad)


def test_C2_the_client_id_is_the_address() -> None:
    assert str(Address("o", "u", "a")) == "o/u/a"


def test_C4_C5_topics_are_those_of_the_profile() -> None:
    assert PROFILE_TOPICS.request(ANN) == "$a2a/v1/request/acme/lab/ann"
    assert PROFILE_TOPICS.reply(ANN, "x1") == "$a2a/v1/reply/acme/lab/ann/x1"
    assert PROFILE_TOPICS.event(ANN) == "$a2a/v1/event/acme/lab/ann"
    assert PROFILE_TOPICS.discovery(ANN) == "$a2a/v1/discovery/acme/lab/ann"


def test_S1_discovery_filters_are_scoped() -> None:
    assert PROFILE_TOPICS.discovery_filter("acme", "lab") == "$a2a/v1/discovery/acme/lab/+"
    assert PROFILE_TOPICS.discovery_filter("acme") == "$a2a/v1/discovery/acme/+/+"
    with pytest.raises(ValueError, match="id of the bus"):
        PROFILE_TOPICS.discovery_filter("+", "lab")


def test_a_topic_says_whose_it_is() -> None:
    assert PROFILE_TOPICS.owner(PROFILE_TOPICS.reply(ANN, "x")) == ANN
    assert PROFILE_TOPICS.owner(PROFILE_TOPICS.discovery(ANN)) == ANN
    for other in ("somewhere", "$a2a/v1/reply/a/b", "$a2a/v1/reply/a b/c/d", "$a2a/v1/lock/a/b/c", "", "/"):
        assert PROFILE_TOPICS.owner(other) is None


def test_another_prefix_is_possible_and_checked() -> None:
    assert Topics("a2a/v1").request(ANN) == "a2a/v1/request/acme/lab/ann"
    for bad in ("", "/a", "a/", "a/+", "a b"):
        with pytest.raises(ValueError, match="prefix"):
            Topics(bad)


def test_reply_suffixes_are_ids_of_many_random_bits() -> None:
    suffixes = {reply_suffix() for _ in range(100)}
    assert len(suffixes) == 100
    assert all(len(suffix) * 4 >= 96 and PROFILE_TOPICS.reply(ANN, suffix) for suffix in suffixes)


POOL = Pool("acme", "lab", "coders")


def test_P1_the_topic_of_a_pool_is_one_of_its_unit() -> None:
    assert PROFILE_TOPICS.request(POOL) == "$a2a/v1/request/acme/lab/pool/coders"


def test_P3_members_share_the_topic_of_the_pool() -> None:
    wanted = "$share/a2a.acme.lab.coders/$a2a/v1/request/acme/lab/pool/coders"
    assert member_filters([POOL], shared=True) == [wanted]
    assert member_filters([POOL], shared=False) == []


def test_P4_P5_all_members_make_the_same_group_name() -> None:
    assert Pool("acme", "lab", "coders").group == POOL.group == "a2a.acme.lab.coders"
    assert Pool("a-b", "lab", "c-d").group == "a2a.a_b.lab.c_d"
    long, longer = Pool("o" * 60, "u", "p"), Pool("o" * 60, "u", "p2")
    assert len(long.group) <= GROUP_CHARS
    assert long.group != longer.group
    assert long.group == Pool("o" * 60, "u", "p").group


def test_P1_the_name_of_a_pool_is_read_from_its_topic() -> None:
    topics = PROFILE_TOPICS
    assert topics.pool_of(topics.request(Pool("acme", "lab", "reviewer"))) == "reviewer"
    assert topics.pool_requests("acme", "lab") == "$a2a/v1/request/acme/lab/pool/+"
    for topic in (
        "$a2a/v1/request/acme/lab/pool",
        "$a2a/v1/request/acme/lab/ben/x",
        "$a2a/v1/reply/acme/lab/pool/x",
    ):
        assert topics.pool_of(topic) == ""
