"""Letters with their journal on, against bare MQTT clients on the same broker, in turns, in one run."""

import statistics
from collections.abc import Iterator, Sequence

from scripts.benchmarks.bus_commands import measure_commands
from scripts.benchmarks.bus_runs import Ends, Outcome, one_run, private_broker
from scripts.benchmarks.bus_sides import AIOMQTT, OURS, PAHO, Side
from scripts.benchmarks.measuring import Figure, Group

PAIRS = 8
ROUNDS = 5
AWAITED, PIPELINED, PACED, EACH_OF_MANY = 4000, 8000, 400, 1000


def measure_bus() -> Iterator[Figure]:
    with private_broker(PAIRS) as ends:
        one_run(OURS, ends, count=200, how="pipelined")  # starts the server that clones
        yield from _one_to_one(ends)
        yield from _many_to_many(ends)
        yield from _one_way(ends)
        yield from measure_commands(ends)


def _one_to_one(ends: Ends) -> Iterator[Figure]:
    bare, ours = _rounds((AIOMQTT, OURS), ends, count=AWAITED, how="awaited")
    yield _share("each send awaited", 0.8, (AIOMQTT, bare), ours)
    bare, aiomqtt, ours = _rounds((PAHO, AIOMQTT, OURS), ends, count=PIPELINED, how="pipelined")
    yield _share("pipelined", 0.5, (PAHO, bare), ours)
    yield _share("pipelined", None, (AIOMQTT, aiomqtt), ours)


def _many_to_many(ends: Ends) -> Iterator[Figure]:
    for how, other, least in (("awaited", AIOMQTT, 0.8), ("pipelined", PAHO, 0.5)):
        bare, ours = _rounds((other, OURS), ends, count=EACH_OF_MANY, how=how, pairs=PAIRS)
        yield _share(f"{PAIRS} to {PAIRS}, {how}", least, (other, bare), ours)


def _one_way(ends: Ends) -> Iterator[Figure]:
    bare, ours = _rounds((AIOMQTT, OURS), ends, count=PACED, how="paced")
    for share, limit in ((0.5, 1.5), (0.99, None)):
        ratio = statistics.median(b.at(share) / a.at(share) for a, b in zip(bare, ours, strict=True))
        times = [statistics.median(one.at(share) for one in side) for side in (bare, ours)]
        detail = f"{times[0]:.2f} ms bare aiomqtt, {times[1]:.2f} ms letters, at 150/s"
        yield Figure(f"one way p{share * 100:.0f}, letters / bare", ratio, "x", limit, detail)


def _rounds(
    sides: Sequence[Side], ends: Ends, *, count: int, how: str, pairs: int = 1
) -> list[list[Outcome]]:
    """The outcomes of each side, taken in turns; which one begins changes from round to round."""
    taken: dict[str, list[Outcome]] = {side.name: [] for side in sides}
    for number in range(ROUNDS):
        turn = number % len(sides)
        for side in (*sides[turn:], *sides[:turn]):
            taken[side.name].append(one_run(side, ends, count=count, how=how, pairs=pairs))
    return [taken[side.name] for side in sides]


def _share(
    what: str, least: float | None, other: tuple[Side, Sequence[Outcome]], ours: Sequence[Outcome]
) -> Figure:
    """How much of the bare rate is left, by the median of the rounds."""
    side, bare = other
    ratios = sorted(mine.rate / its.rate for its, mine in zip(bare, ours, strict=True))
    rates = [statistics.median(one.rate for one in every) for every in (bare, ours)]
    detail = f"{rates[0]:.0f}/s, letters {rates[1]:.0f}/s; rounds {ratios[0]:.2f} to {ratios[-1]:.2f}"
    return Figure(
        f"of {side.name}, {what}", statistics.median(ratios), "x", least, detail, more_is_better=True
    )


GROUPS = (Group("bus", "letters with their journal on, against bare MQTT clients", measure_bus),)
