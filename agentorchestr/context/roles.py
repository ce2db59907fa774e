"""The role cards: what each kind of worker does and delivers, and whether it may change files."""

from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import OrchestrError

ROLES_FOLDER = Path(__file__).parent / "roles"
FENCE = "---\n"


@dataclass(frozen=True)
class RoleCard:
    """One role. With ``may_edit`` False, a diff of its worker is refused at the merge."""

    name: str
    title: str
    may_edit: bool
    text: str


def load_roles(folder: Path = ROLES_FOLDER) -> dict[str, RoleCard]:
    """Read every card in *folder*, by name in alphabetical order.

    Raises ``OrchestrError`` for a card whose head breaks the format: a fault in the installation.
    """
    return {path.stem: _read_card(path) for path in sorted(folder.glob("*.md"))}


def _read_card(path: Path) -> RoleCard:
    start, head, body = _split(path)
    if start:
        raise OrchestrError(f"the role card {path} has to begin with a line of three dashes")
    fields = dict(_field(line, path) for line in head.splitlines())
    may_edit = {"true": True, "false": False}.get(fields.pop("may_edit", ""))
    title = fields.pop("title", "")
    if may_edit is None or not title or fields:
        raise OrchestrError(f"the role card {path} needs exactly a title and may_edit: true or false")
    return RoleCard(name=path.stem, title=title, may_edit=may_edit, text=body.strip())


def _split(path: Path) -> tuple[str, str, str]:
    parts = path.read_text(encoding="utf-8").split(FENCE, maxsplit=2)
    if len(parts) != len(("before", "head", "body")):
        raise OrchestrError(f"the role card {path} needs a head between two lines of three dashes")
    return parts[0], parts[1], parts[2]


def _field(line: str, path: Path) -> tuple[str, str]:
    key, colon, value = line.partition(":")
    if not colon:
        raise OrchestrError(f"the role card {path} has a line without a colon in its head: {line}")
    return key.strip(), value.strip()
