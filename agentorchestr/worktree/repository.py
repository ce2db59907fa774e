"""The person's repository: find it, read it, and make commits in it without touching index or tree."""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError, UsageError
from agentorchestr.worktree.git import CHECKOUT_S, run_git, run_with_identity, shown


@dataclass(frozen=True)
class Repository:
    """A git repository as seen from one project folder. All paths are absolute."""

    root: Path
    """The top of the person's worktree."""
    git_dir: Path
    """The common git directory: the same for every linked worktree."""
    project: Path

    @property
    def key(self) -> str:
        """A folder name for this repository: readable, and unique by its git directory."""
        base = self.git_dir.parent if self.git_dir.name == ".git" else self.git_dir
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", base.name).strip("-.")[:40] or "repository"
        return f"{name}-{hashlib.sha256(bytes(self.git_dir)).hexdigest()[:10]}"


def find_repository(project: Path) -> Repository:
    """Find the repository that holds *project*.

    Works from a sub-directory, in a linked worktree and in a submodule. Raises ``UsageError`` when
    there is no repository, when it is bare, or when it has no commit; the hint is the way out.
    """
    project = project.resolve()
    if not project.is_dir():
        raise UsageError(f"no such directory: {project}", hint="give one that exists: --project DIR")
    _refuse_without_worktree(project)
    root = Path(run_git(project, "rev-parse", "--show-toplevel").text)
    git_dir = Path(project, run_git(project, "rev-parse", "--git-common-dir").text).resolve()
    repo = Repository(root=root, git_dir=git_dir, project=project)
    if run_git(project, "rev-parse", "-q", "--verify", "HEAD^{commit}", accept=(0, 1, 128)).code:
        raise _no_commit(repo)
    return repo


def _refuse_without_worktree(project: Path) -> None:
    answer = run_git(project, "rev-parse", "--is-inside-work-tree", accept=(0, 128))
    where = shlex.quote(str(project))
    if "dubious ownership" in answer.err:
        raise UsageError(
            f"git refuses {project}: it belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {where}",
        )
    if answer.code:
        raise UsageError(
            f"not a git repository: {project}",
            hint="let agentorchestr make it one with --git-init, or give another --project DIR",
        )
    if answer.out != b"true":
        raise UsageError(
            f"a bare repository has no files to work on: {project}",
            hint=f"give a clone of it: git clone {where} somewhere",
        )


def _no_commit(repo: Repository) -> UsageError:
    git = f"git -C {shlex.quote(str(repo.root))}"
    branches = run_git(repo.root, "for-each-ref", "--count=1", "--format=%(refname:short)", "refs/heads").text
    if branches:
        return UsageError(
            f"the branch checked out in {repo.root} has no commit yet",
            hint=f"switch to one that has: {git} switch {shlex.quote(branches)}",
        )
    return UsageError(
        f"the repository {repo.root} has no commit yet",
        hint=f"make the first one: {git} add -A && {git} commit --allow-empty -m 'first commit'",
    )


def init_repository(project: Path) -> Repository:
    """Make *project* a git repository whose first commit holds what is there.

    A repository without a commit gets its first one; one that has a commit is returned as it is.
    """
    project = project.resolve()
    if run_git(project, "rev-parse", "--git-dir", accept=(0, 128)).code:
        run_git(project, "init", "-q")
    if run_git(project, "rev-parse", "-q", "--verify", "HEAD^{commit}", accept=(0, 1, 128)).code:
        run_git(project, "add", "-A", timeout_s=CHECKOUT_S)
        run_with_identity(
            project, "commit", "-q", "--allow-empty", "-m", "first commit", timeout_s=CHECKOUT_S
        )
    return find_repository(project)


def resolve_base(repo: Repository, base: str) -> tuple[str, str]:
    """Name the branch and the commit a session starts from; *base* empty: what is checked out.

    The branch is empty when the base is not a local branch (a tag, a commit, a detached HEAD).
    Raises ``UsageError`` for a name git does not know.
    """
    if not base:
        head = run_git(repo.root, "symbolic-ref", "-q", "HEAD", accept=(0, 1)).text
        return head.removeprefix("refs/heads/"), read_commit(repo, "HEAD")
    if not base.startswith("-"):
        tip = branch_tip(repo, base)
        if tip is not None:
            return base, tip
        answer = run_git(repo.root, "rev-parse", "-q", "--verify", f"{base}^{{commit}}", accept=(0, 1, 128))
        if answer.code == 0:
            return "", answer.text
    raise UsageError(
        f"no branch or commit is called {base!r}",
        hint=f"list the branches: git -C {shlex.quote(str(repo.root))} branch",
    )


def read_commit(repo: Repository, revision: str) -> str:
    """The full id of the commit *revision* names. Raises ``GitError`` when there is none."""
    answer = run_git(repo.root, "rev-parse", "-q", "--verify", f"{revision}^{{commit}}", accept=(0, 1, 128))
    if answer.code:
        raise GitError(f"no commit is called {revision!r} in {repo.root}")
    return answer.text


def dirty_files(repo: Repository) -> tuple[str, ...]:
    """What differs from the last commit in the person's tree: tracked and untracked, not ignored."""
    return tuple(sorted(shown(name) for name, _ in read_dirty(repo.root)))


def read_dirty(tree: Path) -> list[tuple[bytes, str]]:
    """Each path that differs from HEAD in *tree*, with git's two status letters (``??``, ``UU`` …).

    A path that ends in a slash is a repository nested in the tree. Renames are told as a deletion
    and an addition.
    """
    answer = run_git(
        tree, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=dirty", timeout_s=CHECKOUT_S,
    )  # fmt: skip
    return [(record[3:], record[:2].decode()) for record in answer.records]


def commit_dirty(repo: Repository, *, base_commit: str, message: str) -> str:
    """Make a commit on top of *base_commit* that holds the person's uncommitted changes.

    Tracked and untracked files, not ignored ones, nor repositories nested in the tree. Neither the
    person's index nor the tree is touched. Returns *base_commit* when nothing differs. Raises
    ``UsageError`` when *base_commit* is not what is checked out, or a merge is unresolved.
    """
    if read_commit(repo, "HEAD") != base_commit:
        raise UsageError(
            "uncommitted changes belong to the commit that is checked out, which is not the base",
            hint="leave out --base, or leave out --include-dirty",
        )
    dirty = [(name, status) for name, status in read_dirty(repo.root) if not name.endswith(b"/")]
    unresolved = [shown(name) for name, status in dirty if is_unmerged(status)]
    if unresolved:
        raise UsageError(
            f"a merge is not resolved yet: {', '.join(unresolved)}", hint="finish it first: git status"
        )
    if not dirty:
        return base_commit
    with temporary_index(repo.root) as env:
        stage(repo.root, [name for name, _ in dirty], env=env)
        tree = run_git(repo.root, "write-tree", env=env).text
    return run_with_identity(
        repo.root, "commit-tree", tree, "-p", base_commit, "-F", "-", stdin=message.encode()
    ).text


def is_unmerged(status: str) -> bool:
    """Whether git's two status letters tell of an unresolved merge."""
    return "U" in status or status in ("AA", "DD")


@contextlib.contextmanager
def temporary_index(tree: Path) -> Iterator[dict[str, str]]:
    """A copy of *tree*'s index, as the environment that makes git use it."""
    index = Path(tree, run_git(tree, "rev-parse", "--git-path", "index").text)
    with tempfile.TemporaryDirectory(dir=index.parent, prefix="agentorchestr-") as folder:
        scratch = Path(folder, "index")
        if index.exists():
            shutil.copy2(index, scratch)
        yield {"GIT_INDEX_FILE": str(scratch)}


def stage(tree: Path, names: Sequence[bytes], *, env: Mapping[str, str] | None = None) -> None:
    """Bring *names* in the index to what they are in *tree*: changed, new or gone."""
    gone = [name for name in names if not is_there(tree, name)]
    there = [name for name in names if is_there(tree, name)]
    # Deletions first and by force: what lay below a folder that is a file or a link now is "beyond
    # a symbolic link" for git, and in the way of its successor.
    for words, group in ((("--force-remove",), gone), (("--add", "--remove", "--replace"), there)):
        if group:
            listing = b"\0".join(group) + b"\0"
            run_git(
                tree, "update-index", *words, "-z", "--stdin", stdin=listing, env=env, timeout_s=CHECKOUT_S
            )


def is_there(tree: Path, name: bytes) -> bool:
    """Whether *name* is a file or link in *tree* itself, not somewhere behind a link."""
    parts = name.split(b"/")
    for count in range(1, len(parts)):
        if os.path.islink(os.path.join(bytes(tree), *parts[:count])):  # noqa: PTH114, PTH118 - pathlib has no bytes
            return False
    return os.path.lexists(os.path.join(bytes(tree), name))  # noqa: PTH118 - pathlib has no bytes


def create_branch(repo: Repository, name: str, commit: str) -> None:
    """Create the branch *name* at *commit*. Raises ``GitError`` when it exists already, wherever it is."""
    made = run_git(repo.root, "update-ref", f"refs/heads/{name}", commit, "", accept=(0, 1, 128))
    if made.code:
        raise GitError(f"the branch {name} cannot be created: {made.err}")


def branch_tip(repo: Repository, name: str) -> str | None:
    """The commit the local branch *name* is at, or None when there is no such branch."""
    answer = run_git(
        repo.root, "rev-parse", "-q", "--verify", f"refs/heads/{name}^{{commit}}", accept=(0, 1, 128)
    )
    return answer.text if answer.code == 0 else None
