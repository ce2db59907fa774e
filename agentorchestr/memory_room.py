"""How much memory is free, and how much our programs use: of the machine, and of the cgroup we are in."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

NO_LIMIT = 1 << 60
"""The first version of cgroups writes a huge number where there is no limit."""
ROOT = Path("/sys/fs/cgroup")


def free_bytes(*, cgroups: Iterable[tuple[int, int]] | None = None) -> int:
    """What programs can still use without swapping: the least of the machine's and each cgroup's above us.

    *cgroups* are limits and what is used of them, read from the kernel when not given.
    """
    import psutil

    rooms = [max(0, limit - used) for limit, used in (_limits() if cgroups is None else cgroups)]
    return min([int(psutil.virtual_memory().available), *rooms])


def _limits() -> Iterator[tuple[int, int]]:
    for folder in _folders():
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with contextlib.suppress(OSError, ValueError):
                limit = int((folder / limit_file).read_text())
                if limit < NO_LIMIT:
                    # The page cache counts as used there, and is given back when it is needed.
                    yield limit, int((folder / used_file).read_text()) - _cache(folder)


def _cache(folder: Path) -> int:
    lines = (folder / "memory.stat").read_text().splitlines()
    table = dict(line.split() for line in lines if line.count(" ") == 1)
    return int(table.get("total_inactive_file", table.get("inactive_file", "0")))


def _folders() -> Iterator[Path]:
    """The cgroups we are in, up to the top; as seen in a container, where the path may be the host's."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if controllers in ("", "memory"):
                tops = [ROOT / controllers] if controllers else [ROOT, ROOT / "unified"]
                for top in tops:
                    place = top / own.lstrip("/")
                    yield from (place, *(above for above in place.parents if above.is_relative_to(top)))


def used_bytes(pids: Iterable[int]) -> int:
    """The resident memory of these processes together; those that are gone count nothing."""
    import psutil

    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_info().rss
    return total
