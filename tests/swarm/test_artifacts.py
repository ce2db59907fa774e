"""Bodies that are too large for a letter: kept by their hash, named in it, fetched over the bus piece by piece."""

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.model.carrier import Delivered, Properties
from agentorchestr.model.mail import Address, Letter, LetterState
from agentorchestr.process import offload
from agentorchestr.swarm import topics
from agentorchestr.swarm.artifacts import ARTIFACT_BYTES, ArtifactRef, Shelf, Want, excerpt, packed, ref_of
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.fetching import Artifacts, NotFetched
from agentorchestr.swarm.giving import PIECE_BYTES
from tests.swarm.conftest import Post, soon
from tests.swarm.transport_contract import ANN, BEN, CAT

on_the_bus = pytest.mark.anyio
FAR_S = 3600.0


@asynccontextmanager
async def keeper(post: Post, me: Address) -> AsyncIterator[tuple[Exchange, Artifacts]]:
    """An agent with a shelf of its own, as on a machine of its own."""
    made: list[Artifacts] = []

    def prepare(exchange: Exchange) -> None:
        made.append(Artifacts(exchange, Shelf(post.folder / f"shelf-{me.agent}")))

    async with post.agent(me, prepare=prepare) as exchange, made[0] as artifacts:
        yield exchange, artifacts


async def name_to(
    exchange: Exchange, artifacts: Artifacts, content: bytes, to: Address | None = BEN
) -> ArtifactRef:
    """Send a letter that names *content*."""
    ref = artifacts.shelf.put(content)
    await exchange.send(Letter("", ANN, to, ref.write()))
    return ref


@on_the_bus
@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 100_000, 1_000_000])
async def test_what_is_named_arrives_byte_for_byte(post: Post, size: int) -> None:
    content = secrets.token_bytes(size)
    async with keeper(post, ANN) as (ann, kept), keeper(post, BEN) as (_, fetched):
        ref = await name_to(ann, kept, content)
        path = await fetched.fetch(ANN, ref, timeout_s=30)
        assert path.read_bytes() == content
        assert path.is_relative_to(post.folder / "shelf-ben")


@on_the_bus
async def test_it_is_fetched_as_the_letter_comes_in_without_being_asked_for(local: Post) -> None:
    async with keeper(local, BEN) as (_, fetched):
        async with keeper(local, ANN) as (ann, kept):
            ref = await name_to(ann, kept, b"x" * 300_000)
            await soon(lambda: fetched.shelf.find(ref) is not None)
        assert (await fetched.fetch(ANN, ref, timeout_s=1)).stat().st_size == 300_000


@on_the_bus
async def test_nobody_gets_what_no_letter_named_to_him(post: Post) -> None:
    async with keeper(post, ANN) as (ann, kept), keeper(post, BEN), keeper(post, CAT) as (_, other):
        ref = await name_to(ann, kept, b"for ben alone")
        with pytest.raises(NotFetched, match="no such artifact for you"):
            await other.fetch(ANN, ref, timeout_s=1)
        everybody = await name_to(ann, kept, b"for all", to=None)
        assert (await other.fetch(ANN, everybody, timeout_s=20)).read_bytes() == b"for all"


@on_the_bus
async def test_a_fetch_waits_for_who_has_it_and_goes_on_after_a_restart(local: Post) -> None:
    content, shelf = secrets.token_bytes(5 * PIECE_BYTES), Shelf(local.folder / "shelf-ben")
    async with keeper(local, ANN) as (ann, kept), keeper(local, BEN) as (_, fetched):
        ref = kept.shelf.put(content)
        file = kept.shelf.find(ref)
        assert file is not None
        file.rename(local.folder / "away")
        sent = await ann.send(Letter("", ANN, BEN, ref.write()))
        await ann.wait_for(sent.letter_id, LetterState.RECEIVED, timeout_s=10)
        with pytest.raises(NotFetched, match="not fetched"):
            await fetched.fetch(ANN, ref, timeout_s=0.3)
    assert [want.ref for want in shelf.wanted(BEN)] == [ref]
    (local.folder / "away").rename(file)
    async with keeper(local, ANN), keeper(local, BEN):
        await soon(lambda: shelf.find(ref) is not None and not list(shelf.wanted(BEN)))
    assert (shelf.folder / ref.sha256).read_bytes() == content


@on_the_bus
async def test_a_fetch_goes_on_where_it_was_cut_off(local: Post) -> None:
    content = secrets.token_bytes(9 * PIECE_BYTES)
    asked: list[int] = []
    async with keeper(local, ANN) as (ann, kept), keeper(local, BEN) as (_, fetched):
        ref = kept.shelf.put(content)
        fetched.shelf.add(ref, ANN, 0, content[: 6 * PIECE_BYTES])
        give = kept.shelf.piece

        def counted(ref: ArtifactRef, offset: int, size: int) -> bytes | None:
            asked.append(offset)
            return give(ref, offset, size)

        kept.shelf.piece = counted  # type: ignore[method-assign]
        await ann.send(Letter("", ANN, BEN, ref.write()))
        assert (await fetched.fetch(ANN, ref, timeout_s=20)).read_bytes() == content
    assert sorted(asked) == [6 * PIECE_BYTES, 7 * PIECE_BYTES, 8 * PIECE_BYTES]


@on_the_bus
async def test_what_is_not_what_was_named_is_thrown_away(local: Post) -> None:
    async with keeper(local, ANN) as (ann, kept), keeper(local, BEN) as (_, fetched):
        ref = await name_to(ann, kept, b"the right bytes")
        (kept.shelf.folder / ref.sha256).write_bytes(b"the wrong bytes")
        with pytest.raises(NotFetched, match="not what was named"):
            await fetched.fetch(ANN, ref, timeout_s=1)
        assert fetched.shelf.find(ref) is None
        assert fetched.shelf.begun(ref, ANN) == 0


@on_the_bus
async def test_what_one_sender_never_gives_another_one_does(local: Post) -> None:
    content = secrets.token_bytes(2 * PIECE_BYTES)
    async with (
        keeper(local, ANN) as (ann, kept),
        keeper(local, CAT) as (cat, other),
        keeper(local, BEN) as (_, fetched),
    ):
        ref = kept.shelf.put(content)
        (kept.shelf.folder / ref.sha256).unlink()
        await ann.send(Letter("", ANN, BEN, ref.write()))
        with pytest.raises(NotFetched):
            await fetched.fetch(ANN, ref, timeout_s=0.3)
        fetched.shelf.add(ref, ANN, 0, b"wrong bytes")
        other.shelf.put(content)
        await cat.send(Letter("", CAT, BEN, ref.write()))
        path = await fetched.fetch(CAT, ref, timeout_s=20)
        assert await offload(path.read_bytes) == content


@on_the_bus
async def test_random_questions_disturb_nobody(post: Post) -> None:
    async with keeper(post, ANN) as (ann, kept), keeper(post, BEN) as (ben, fetched):
        ref = await name_to(ann, kept, b"still here")
        for question in (b"", b"\xff\xfe", b"[" * 5000, b"{}", b'{"ref":1,"offset":"x","bytes":[]}', b"null"):
            await ben.transport.publish(
                topics.question(ANN, BEN), question, properties=Properties(correlation=b"\x00\xff")
            )
        await ben.transport.publish(topics.piece(BEN, BEN), b"not asked for")
        assert (await fetched.fetch(ANN, ref, timeout_s=20)).read_bytes() == b"still here"


@on_the_bus
async def test_nobody_asks_or_answers_under_another_name(post: Post) -> None:
    async with keeper(post, ANN) as (ann, _), keeper(post, BEN):
        for topic in (topics.question(BEN, CAT), topics.piece(BEN, CAT)):
            assert await ann.transport.publish(topic, b"x") is Delivered.REFUSED


def test_what_is_small_stays_in_the_letter(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert packed(shelf, "é" * 32_768) == "é" * 32_768
    ref = ref_of(packed(shelf, "é" * 32_768 + "x", content_type="text/markdown"))
    assert ref is not None
    assert (ref.size, ref.content_type) == (65_537, "text/markdown")
    with pytest.raises(UsageError, match="16 MiB"):
        shelf.put(b"x" * (ARTIFACT_BYTES + 1))


@pytest.mark.parametrize(
    "body",
    [
        "just text",
        '{"agentorchestr_artifact":',
        '{"agentorchestr_artifact":' + "[" * 1500,
        ArtifactRef("a" * 64, 5).write().replace("a" * 64, "../../etc/passwd"),
        ArtifactRef("a" * 64, 5).write().replace(":5,", ":true,"),
        ArtifactRef("a" * 64, 5).write().replace(":5,", f":{ARTIFACT_BYTES + 1},"),
        ArtifactRef("a" * 64, 5).write().replace('"name":""', '"name":"a/b"'),
        ArtifactRef("a" * 64, 5).write().replace('"name":""', '"name":7'),
    ],
)
def test_what_is_no_reference_is_a_text(body: str) -> None:
    assert ref_of(body) is None


def test_a_reference_reads_as_it_was_written() -> None:
    ref = ArtifactRef("0f" * 32, 12, "plan é.md", "text/markdown")
    assert ref_of(ref.write()) == ref


def test_a_shelf_is_cleaned_of_what_is_kept_no_longer(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    kept, old = shelf.put(b"kept"), shelf.put(b"old", until=time.time() - 1)
    broken, begun = ArtifactRef("1" * 64, 10), ArtifactRef("2" * 64, 10)
    for ref in (broken, begun):
        shelf.add(ref, ANN, 0, b"half")
    long_ago = time.time() - 8 * 86400
    for file in tmp_path.glob(f"{broken.sha256}.*"):
        os.utime(file, (long_ago, long_ago))
    shelf.note(Want(BEN, ANN, kept, time.time() + FAR_S))
    shelf.clean()
    assert shelf.find(kept) is not None
    assert shelf.find(old) is None
    assert (shelf.begun(broken, ANN), shelf.begun(begun, ANN)) == (0, 4)
    assert len(list(shelf.wanted(BEN))) == 1
    assert list(shelf.wanted(ANN)) == []


def test_files_of_a_shelf_are_private(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(b"x")
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "shelf").iterdir()} == {"0o600"}
    assert (tmp_path / "shelf").stat().st_mode & 0o077 == 0


def test_a_model_gets_the_text_by_pages(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    text = "".join(f"{number:06}\n" for number in range(5000))
    ref = shelf.put(text.encode())
    path, offset, seen = shelf.find(ref), 0, ""
    assert path is not None
    while True:
        page = excerpt(path, ref, offset=offset)
        seen += str(page["text (data)"])
        if "next_offset" not in page:
            break
        offset = int(str(page["next_offset"]))
    assert seen == text
    binary = shelf.put(b"\xff\x00")
    shown = excerpt(path.with_name(binary.sha256), binary)
    assert "text (data)" not in shown
