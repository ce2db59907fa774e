"""What the three hosts go through, step by step: ``./scripts/chaos/three-hosts [--cut SECONDS]``."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.bus.home import home_of
from agentorchestr.bus.names import address_of
from agentorchestr.journal.mailbox import FILE_NAME, MailStore
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Address, LetterState
from agentorchestr.paths import Paths
from scripts.chaos.three_hosts import ANN, BEN, GIVERS, PERSONS, PYTHON, SENDERS, TOP, Three, team, until
from scripts.chaos.three_hosts_net import why_not

AGENT = "scripts.chaos.three_hosts_agent"
SETTLES_S = 180.0
GONE_S = 80.0
"""A will of an agent behind a cut cable is told within this time."""
LEAD = """
[[lead]]
match = "."
tasks = [{ task = "note" }]
turns = [[
  { do = "call", tool = "delegate", args = { to = "%s", task = "1 two three" } },
  { do = "run_tasks" },
]]
[[worker]]
match = "note"
turns = [[
  { do = "sleep", seconds = 5 },
  { do = "write", file = "note.txt", text = "x" },
  { do = "commit", message = "note" },
  { do = "call", tool = "report_done", args = { summary = "noted" } },
]]
"""


@dataclass(frozen=True)
class Cut:
    """What a cable that was out for a while did."""

    out_s: float
    letters: int
    lost: int
    twice: int
    unverified: int
    settled_s: float
    """From the cable being back to the last receipt."""
    task: str
    """How the task ended whose doer was behind the cut."""
    typed_why: str
    """What a person on the cut host was told of a letter sent from there."""


def meet(three: Three) -> None:
    """Start an agent on each host; each is seen from the other, with what it can do."""
    for host, name in (("left", ANN), ("right", BEN)):
        three.start(host, *PYTHON, AGENT, "serve", name, agent=name)
    for host in ("left", "right"):
        until(lambda host=host: {ANN, BEN} <= three.online(host), f"both agents are seen on {host}")
        cards = three.bus(host, "list", "--capability", "count", agent=PERSONS[host])["agents"]
        assert {card["address"] for card in cards} == {ANN, BEN}


def ask(three: Three) -> None:
    """Ask from each host an agent on the other."""
    for host, name in (("left", BEN), ("right", ANN)):
        said = three.bus(host, "ask", name, "is anybody there?", agent=PERSONS[host])
        assert said["answer"]["body"] == "IS ANYBODY THERE?", said


def give(three: Three, host: str, to: str, text: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        three.net.argv(host, *PYTHON, AGENT, "give", GIVERS[host], to, text),
        env=three.env(host, GIVERS[host]),
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(giving: "subprocess.Popen[str]") -> dict[str, str]:
    assert giving.stdout is not None
    line = giving.stdout.readline()
    assert line, "the one who gave a task ended without a word"
    return dict(json.loads(line))


def delegate(three: Three) -> None:
    """Give a task from each host to an agent on the other."""
    for host, name in (("left", BEN), ("right", ANN)):
        giving = give(three, host, name, "0 one two")
        told(giving)
        ended = told(giving)
        giving.communicate()
        assert (ended["state"], ended["result"]) == ("completed", f"3 words, counted by {name}"), ended


def send_and_read(three: Three) -> None:
    """Type a letter on one host, and read it on the other as from a sender that is proven."""
    here, there = PERSONS["left"], PERSONS["right"]
    three.bus("right", "read", agent=there)  # so that it is known at the broker
    sent = three.bus("left", "send", there, "the parser is ready", agent=here)["letters"][0]

    def came() -> list[dict[str, object]]:
        return list(three.bus("right", "read", agent=there)["letters"])

    (letter,) = until(came, "the letter is read")
    assert (letter["id"], letter["from"], letter["verified"]) == (sent["id"], here, True), letter


def cut(three: Three, *, out_s: float, letters: int) -> Cut:
    """Take the cable of the right host out while both sides send, and while a task is done there."""
    for host, peer in (("left", SENDERS["right"]), ("right", SENDERS["left"])):
        file = str(three.folder / f"{host}.md")
        words = (SENDERS[host], str(letters), str(2 * out_s / letters), "1", file, peer)
        three.start(host, *PYTHON, "scripts.chaos.bus_agent", *words, agent=SENDERS[host])
    giving = give(three, "left", BEN, f"{out_s + 1} two")
    told(giving)
    until(lambda: all(len(three.acted(host)) > letters // 20 for host in SENDERS), "letters flow")
    three.net.cut("right")
    began = time.monotonic()
    said = three.bus("right", "send", SENDERS["left"], "from behind the cut", agent=PERSONS["right"])
    typed = said["letters"][0]
    time.sleep(max(out_s - (time.monotonic() - began), 0))
    three.net.mend("right")
    began = time.monotonic()
    again = until(lambda: sent_again(three), "a command sends again")
    ended = told(giving)
    giving.communicate()
    until(lambda: all(settled(three, host, letters) for host in SENDERS), "all is told", within_s=SETTLES_S)
    settled_s = time.monotonic() - began
    until(lambda: typed["id"] in three.acted("left"), "what was typed behind the cut arrives")
    until(lambda: again in three.acted("left"), "what was typed after it arrives")
    task = f"{ended['state']}: {ended['result'] or ended['why']}"
    lost, twice, unverified = judge(three, letters)
    return Cut(out_s, 2 * letters, lost, twice, unverified, settled_s, task, str(typed["why"]))


def sent_again(three: Three) -> str:
    """The id of a letter that was typed and went out; with it goes what waited."""
    said = three.bus("right", "send", SENDERS["left"], "and this one", agent=PERSONS["right"])
    letter = said["letters"][0]
    return "" if letter["state"] == "stored" else str(letter["id"])


def settled(three: Three, host: str, letters: int) -> bool:
    """Whether the sender of *host* knows that all its letters were acted on."""
    return outbox(three, host).count(LetterState.ACTED) == letters


def outbox(three: Three, host: str) -> list[LetterState]:
    me = address_of(SENDERS[host])
    home = home_of(Paths.from_env(three.env(host)), me, three.broker.bound)
    with MailStore(home.folder / FILE_NAME) as store:
        return [each.state for each in store.outbox.recent(me, limit=1_000_000) if each.letter.kind == "note"]


def judge(three: Three, letters: int) -> tuple[int, int, int]:
    """How many letters were lost, acted on twice, and from a sender that is not proven."""
    entries = [entry for host in SENDERS for entry in three.entries(host)]
    # What a person typed comes on top.
    known = [entry["id"] for entry in entries if entry["from"] in SENDERS.values()]
    lost = letters * len(SENDERS) - len(set(known))
    twice = len(entries) - len({entry["id"] for entry in entries})
    return lost, twice, sum(not entry["verified"] for entry in entries)


def gone(three: Three) -> float:
    """Take the cable of the right host out until the left one sees its agent as gone; how long that took."""
    three.net.cut("right")
    began = time.monotonic()
    until(lambda: BEN not in three.online("left"), f"{BEN} is told to be gone", within_s=GONE_S)
    took_s = time.monotonic() - began
    three.net.mend("right")
    until(lambda: BEN in three.online("left"), f"{BEN} is back")
    return took_s


def session(three: Three) -> None:
    """Run a session on the left host whose lead gives a task to the agent on the right one."""
    repo = three.folder / "repo"
    for words in (("init", "-q", "-b", "main", str(repo)), ("-C", str(repo), *AUTHOR, *COMMIT)):
        subprocess.run(["git", *words], check=True, capture_output=True, timeout=30)
    scenario = three.folder / "scenario.toml"
    scenario.write_text(LEAD % BEN)
    env = {
        "AGENTORCHESTR_PRACTICE_SCENARIO": str(scenario),
        "AGENTORCHESTR_PRACTICE_PACE": "0",
        **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@example.invalid" for who in ("AUTHOR", "COMMITTER")},
    }
    goal = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice", "--checks", "true")
    done = three.run(
        "left", *PYTHON, "agentorchestr", *goal, "--broker", three.broker.shared, env=env, cwd=repo
    )
    assert done.returncode == 0, done.stdout + done.stderr
    paths = Paths.from_env(three.env("left"))
    (folder,) = (one for one in paths.sessions.iterdir() if one.is_dir())
    with MailStore(folder / FILE_NAME) as store:
        (task,) = store.tasks.recent(Address("agentorchestr", folder.name, "lead"), Side.REQUESTER, limit=5)
    assert (task.state.value, task.result) == ("completed", f"3 words, counted by {BEN}"), task


AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@example.invalid")
COMMIT = ("commit", "-q", "--allow-empty", "-m", "first")
STEPS: dict[str, Callable[[Three], None]] = {
    "discovery: each host sees the agent of the other": meet,
    "questions both ways": ask,
    "tasks both ways": delegate,
    "a letter typed here is read there, its sender proven": send_and_read,
    "a session whose lead gives a task to the other host": session,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos/three-hosts", description=__doc__)
    parser.add_argument("--cut", type=float, default=30.0, help="seconds that the cable is out; default 30")
    parser.add_argument("--letters", type=int, default=1000, help="sent by each side; default 1000")
    words = parser.parse_args()
    if why := why_not():
        print(f"not run: {why}")
        return 1
    with tempfile.TemporaryDirectory(prefix="ao-") as made, team(Path(made)) as three:
        for name, step in STEPS.items():
            began = time.monotonic()
            step(three)
            print(f"{name:<56} ok  {time.monotonic() - began:5.1f} s", flush=True)
        found = cut(three, out_s=words.cut, letters=words.letters)
        print(f"the right host without its cable for {found.out_s:g} s")
        rows = (
            ("letters", found.letters),
            ("lost", found.lost),
            ("acted on twice", found.twice),
            ("from senders not proven", found.unverified),
            ("seconds from the cable to the last receipt", f"{found.settled_s:.0f}"),
        )
        for name, value in rows:
            print(f"  {name:<54} {value:>8}")
        print(f"  the task under way there: {found.task}")
        print(f"  who typed a letter there was told: {found.typed_why}")
        print(f"the cable out until the agent shows as gone: {gone(three):.0f} s, and it came back")
    good = not (found.lost or found.twice or found.unverified) and found.task.startswith("completed")
    print("all good" if good else "NOT good")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
