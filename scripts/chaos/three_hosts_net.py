"""Three hosts made of network namespaces, joined by a switch in a fourth; needs root and ``ip``."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HOSTS = ("broker", "left", "right")
SUBNET = "10.213.77"


def why_not() -> str:
    """Why no namespaces can be made here; empty when they can."""
    if shutil.which("ip") is None:
        return "ip (iproute2) is not installed"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"ao{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    tried = _ip("-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1", check=False)
    bridged = _ip("-n", name, "link", "add", "b0", "type", "bridge", check=False)
    _ip("netns", "del", name)
    return "" if not tried and not bridged else "this kernel makes no veth or bridge in a network namespace"


@dataclass(frozen=True)
class Net:
    """*tag* begins the name of every namespace; a host has its link to the switch as ``eth0``."""

    tag: str

    def address(self, host: str) -> str:
        return f"{SUBNET}.{HOSTS.index(host) + 1}"

    def argv(self, host: str, *words: str) -> list[str]:
        """The command line that runs *words* on *host*."""
        return ["ip", "netns", "exec", f"{self.tag}-{host}", *words]

    def start(
        self, host: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> "subprocess.Popen[bytes]":
        with log.open("ab") as out:
            return subprocess.Popen(
                self.argv(host, *words),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def cut(self, host: str) -> None:
        """Take the host's cable out: nobody is told, no packet comes through."""
        _ip("-n", f"{self.tag}-switch", "link", "set", host, "down")

    def mend(self, host: str) -> None:
        _ip("-n", f"{self.tag}-switch", "link", "set", host, "up")


@contextmanager
def three_hosts() -> Iterator[Net]:
    """Make the hosts and their switch; all is gone after the block."""
    net = Net(f"ao{os.getpid()}")
    with ExitStack() as stack:
        for name in ("switch", *HOSTS):
            space = f"{net.tag}-{name}"
            _ip("netns", "add", space)
            stack.callback(_ip, "netns", "del", space)
            _ip("-n", space, "link", "set", "lo", "up")
        switch = f"{net.tag}-switch"
        _ip("-n", switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        _ip("-n", switch, "link", "set", "br0", "up")
        for host in HOSTS:
            space = f"{net.tag}-{host}"
            _ip("-n", switch, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", switch, "link", "set", host, "master", "br0", "up")
            _ip("-n", space, "address", "add", f"{net.address(host)}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
        yield net


def _ip(*words: str, check: bool = True) -> int:
    return subprocess.run(["ip", *words], check=check, capture_output=True, timeout=30).returncode
