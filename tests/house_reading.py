"""Read a module's syntax tree for the rules of the house: its imports, its calls, what its names stand for."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "agentorchestr"


@dataclass(frozen=True)
class Module:
    """One source file. *place* is its path inside the package, e.g. ``tmux/panes.py``."""

    place: str
    source: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def home(self) -> str:
        """The package (or module of the top) it belongs to."""
        return self.place.split("/")[0].removesuffix(".py")

    @property
    def dotted(self) -> tuple[str, ...]:
        parts = (PACKAGE, *self.place.removesuffix(".py").split("/"))
        return parts[:-1] if parts[-1] == "__init__" else parts


def modules(package: Path) -> list[Module]:
    return [
        Module(path.relative_to(package).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    ]


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """Every imported name with its line, inside functions too, relative ones made absolute."""
    is_package = module.place.endswith("__init__.py")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.dotted[: len(module.dotted) - node.level + is_package] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and called(node).endswith(("import_module", "__import__")):
            for word in node.args[:1]:
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    yield node.lineno, word.value


def called(node: ast.expr) -> str:
    """The dotted name of a call, an attribute or a name; a part that is computed shows as ``?``."""
    if isinstance(node, ast.Call):
        return called(node.func)
    if isinstance(node, ast.Attribute):
        return f"{called(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def aliases(module: Module) -> dict[str, str]:
    """What a name of this module stands for: ``{"sleep": "time.sleep"}`` after ``from time import sleep``."""
    known = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            known.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    return known


def full_name(name: str, known: dict[str, str]) -> str:
    """A called name after its module's own import names were put back to what they stand for."""
    first, dot, rest = name.partition(".")
    found = known.get(first, first) + dot + rest
    return found.removeprefix("pathlib.").removeprefix("builtins.")


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    known = aliases(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, full_name(called(node), known)
