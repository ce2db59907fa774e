"""The rules of the house, each a function from one module's syntax tree to the faults it finds."""

import ast
import re
import sys
from collections.abc import Iterator

from tests.house_reading import PACKAGE, Module, aliases, called, calls, full_name, imported

FLOORS = (
    ("errors", "clock"),
    ("process_table", "memory_room"),
    ("log", "paths", "process"),
    ("ledger",),
    ("config",),
    ("model",),
    ("agents", "tmux", "worktree", "journal", "mqtt", "llm", "skills", "memory"),
    ("swarm", "discovery", "verify", "context", "apps"),
    ("supervisor",),
    ("mcp_server", "web", "doctor", "shim", "practice", "a2a", "bus"),
    ("hub",),
    ("wiring",),
    ("cli",),
    ("__main__",),
)
"""From the ground up; the ground itself has five steps. Nobody imports a neighbour."""

HOMES: dict[str, frozenset[str] | None] = {
    "libtmux": frozenset({"tmux"}),
    "git": frozenset({"worktree"}),
    "sqlite3": frozenset({"journal", "memory"}),
    "paho": frozenset({"mqtt"}),
    "zeroconf": frozenset({"discovery"}),
    "httpx": frozenset({"llm", "cli"}),
    "mcp": frozenset({"mcp_server", "web", "bus"}),
    "mcp_types": frozenset({"mcp_server", "web", "bus"}),
    "starlette": frozenset({"mcp_server", "web", "hub"}),
    "uvicorn": frozenset({"mcp_server", "web", "hub"}),
    "anyio": frozenset({"mcp_server", "web"}),
    "click": frozenset({"cli"}),
    "rich": frozenset({"cli"}),
    "subprocess": frozenset({"process", "shim", "practice"}),
    "psutil": frozenset({"process_table", "memory_room"}),
    "a2a": frozenset({"a2a"}),
    "google": frozenset({"a2a"}),
    "pydantic": None,
    "pydantic_core": None,
}
"""Where each outside library lives; None: wherever text from outside is read."""

BROAD_EXCEPT_FILES = frozenset({"supervisor/session.py", "mcp_server/replies.py", "cli/main.py"})
PUBLIC = frozenset({"bus/__init__.py"})
"""Packages whose names other programs import from the top; they load them when first used."""
GATEWAY = "worktree/gateway.py"
LONGEST_FILE = 300
LONGEST_FUNCTION = 50

DESTRUCTIVE = re.compile(
    r"\bworktree (remove|prune)\b|\breset\b.* --(hard|merge|keep)\b|\bclean (-[a-zA-Z]|--force)|\bcheckout\b.* (-f|--force|--)( |$)"
    r"|\bbranch\b.* -[dD]\b|\bgit\b.* --force\b|\b(worktree|push|branch|switch|add|rm|mv)\b.* --force\b"
    r"|\bread-tree\b.* --reset\b|\bupdate-ref\b.* -d\b|\bstash (drop|clear|push|pop)\b|^ ?(\S+ -c )?rm -[a-zA-Z]*[rR]"
    r"|\bgit restore\b|\breflog (expire|delete)\b|\bgit (gc|prune)\b"
)
OWN_FOLDERS = re.compile(r'rm -rf( "?\$(venv|tests_dir|home)"?[^ ]*)+$')
"""What a shell script may remove: the environment it made itself, and its temporary folders."""
SHELLS = frozenset({"os.system", "os.popen", "asyncio.create_subprocess_shell", "subprocess.getoutput"})
SIGNALS = frozenset({"os.kill", "os.killpg", "signal.pidfd_send_signal"})
SIGNAL_HOMES = frozenset({"process_table.py", "process.py", "tmux/panes.py"})
"""The table itself, the group of a child of our own, and SIGCHLD to the tmux that just told its pid."""
SLEEPS = frozenset({"time.sleep", "asyncio.sleep", "anyio.sleep"})
PRINTS = frozenset({"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"})
PRINTERS = ("shim", "practice")
OUTSIDE_NAMES = frozenset(
    {"open", "os.environ", "os.getenv", "os.getcwd", "os.getpid", "Path.home", "Path.cwd", "time.time"}
)
OUTSIDE_ACTS = re.compile(
    r"\.(read_text|read_bytes|write_text|write_bytes|mkdir|makedirs|exists|is_file|is_dir|iterdir|glob|rglob|stat"
    r"|resolve|unlink|expanduser|basicConfig|addHandler|setLevel|connect|run|Popen)$"
)


def floor_of(package: str) -> int | None:
    return next((number for number, names in enumerate(FLOORS) if package in names), None)


def imports_go_down(module: Module) -> Iterator[str]:
    mine = floor_of(module.home)
    if mine is None and module.home != "__init__":
        yield f"{module.home} has no floor"
        return
    for line, name in imported(module):
        parts = name.split(".")
        if parts[0] != PACKAGE or len(parts) == 1 or parts[1] in {module.home, "__version__"}:
            continue
        theirs = floor_of(parts[1])
        if module.home == "shim" or theirs is None or mine is None or theirs >= mine:
            yield f"line {line}: {module.home} may not import {parts[1]}"


def libraries_stay_home(module: Module) -> Iterator[str]:
    for line, name in imported(module):
        library = name.split(".")[0]
        if library == PACKAGE or (library in sys.stdlib_module_names and library not in HOMES):
            continue
        if library not in HOMES:
            yield f"line {line}: {library} has no home"
        elif (homes := HOMES[library]) is not None and module.home not in homes:
            yield f"line {line}: {library} lives in {', '.join(sorted(homes))}"


def sizes_are_kept(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > LONGEST_FILE:
        yield f"{lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"line {node.lineno}: {node.name} has {length} lines"


def init_says_what_it_is(module: Module) -> Iterator[str]:
    if not module.place.endswith("__init__.py") or module.place in PUBLIC:
        return
    if ast.get_docstring(module.tree) is None:
        yield "no docstring"
    for node in module.tree.body[1:]:
        is_version = isinstance(node, ast.Assign) and called(node.targets[0]) == "__version__"
        if not (is_version and module.place == "__init__.py"):
            yield f"line {node.lineno}: more than a docstring"


def broad_excepts(module: Module) -> list[int]:
    """Lines that catch everything: ``except Exception``, a bare ``except``, ``suppress(Exception)``.

    A handler that ends by raising the same again catches nothing.
    """
    broad = {"Exception", "BaseException"}
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if isinstance(last := node.body[-1], ast.Raise) and last.exc is None:
                continue
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or called(kind) in broad for kind in caught):
                found.append(node.lineno)
        elif isinstance(node, ast.Call) and called(node).endswith("suppress"):
            found.extend(node.lineno for word in node.args if called(word) in broad)
    return found


def broad_excepts_are_at_home(module: Module) -> Iterator[str]:
    if module.place not in BROAD_EXCEPT_FILES:
        yield from (f"line {line}: catches everything" for line in broad_excepts(module))


def destruction_has_one_gateway(module: Module) -> Iterator[str]:
    if module.place == GATEWAY:
        return
    for line, name in imported(module):
        if name.endswith("rmtree"):
            yield f"line {line}: rmtree"
    for node in ast.walk(module.tree):
        words = _words(node)
        removes = words.startswith(("rmtree ", "removedirs ")) or words.endswith(".rmtree")
        if removes or DESTRUCTIVE.search(words):
            yield f"line {getattr(node, 'lineno', 0)}: {words.strip()}"


def scripts_destroy_only_their_own(place: str, text: str) -> Iterator[str]:
    """The same for what is no module of the product: its scripts, in Python or for a shell."""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.split("#")[0].strip()
        removed = re.search(r"\brm -[a-zA-Z]*[rR].*?(?='|;|$)", bare)
        if removed is not None and OWN_FOLDERS.fullmatch(removed[0]) is None:
            yield f"{place} line {number}: {removed[0]}"
        words = " ".join(re.sub(r"\brm -[a-zA-Z]*[rR]|[\"',()\[\]]", " ", bare).split())
        if DESTRUCTIVE.search(words):
            yield f"{place} line {number}: {bare}"
        if "rmtree" in bare and "tempfile" not in text:
            yield f"{place} line {number}: removes a folder it did not make"


def _words(node: ast.AST) -> str:
    """A call or a list as the command line it may become: its own name, then its constant words."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("git "):
        return node.value
    if isinstance(node, ast.Call):
        name, parts = called(node).rpartition(".")[2], node.args
    elif isinstance(node, ast.List | ast.Tuple):
        name, parts = "", node.elts
    else:
        return ""
    constants = [str(part.value) if isinstance(part, ast.Constant) else "?" for part in parts]
    return f"{name} {' '.join(constants)}"


def no_shell(module: Module) -> Iterator[str]:
    for node, name in calls(module):
        if name in SHELLS:
            yield f"line {node.lineno}: {name}"
        for option in node.keywords:
            if option.arg == "shell" and not (
                isinstance(option.value, ast.Constant) and not option.value.value
            ):
                yield f"line {node.lineno}: shell="


def signals_have_one_home(module: Module) -> Iterator[str]:
    """Whoever signals by number alone may hit another program: only the process table knows which one it is."""
    if module.place in SIGNAL_HOMES or module.home in {"shim", "practice"}:
        return
    yield from (f"line {node.lineno}: {name}" for node, name in calls(module) if name in SIGNALS)


def only_the_clock_sleeps(module: Module) -> Iterator[str]:
    if module.place != "clock.py":
        yield from (f"line {node.lineno}: {name}" for node, name in calls(module) if name in SLEEPS)


def only_the_renderer_prints(module: Module) -> Iterator[str]:
    if module.place != "cli/render.py" and module.home not in PRINTERS:
        yield from (f"line {node.lineno}: {name}" for node, name in calls(module) if name in PRINTS)


def nothing_happens_on_import(module: Module) -> Iterator[str]:
    known = aliases(module)
    for statement in module.tree.body:
        if module.place == "__main__.py" or _is_main_guard(statement):
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call | ast.Await):
            yield f"line {statement.lineno}: calls {called(statement.value)}"
        for node in _run_on_import(statement):
            name = full_name(called(node), known) if isinstance(node, ast.Attribute | ast.Name) else ""
            is_act = isinstance(node, ast.Call) and OUTSIDE_ACTS.search(called(node))
            if name in OUTSIDE_NAMES or is_act:
                yield f"line {getattr(node, 'lineno', 0)}: touches the outside"


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when the module is loaded: not the bodies of functions, but their decorators."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inner: list[ast.AST] = [
            *node.decorator_list,
            *node.args.defaults,
            *filter(None, node.args.kw_defaults),
        ]
    elif isinstance(node, ast.Lambda):
        inner = []
    else:
        inner = list(ast.iter_child_nodes(node))
    for child in inner:
        yield from _run_on_import(child)


RULES = (
    imports_go_down,
    libraries_stay_home,
    sizes_are_kept,
    init_says_what_it_is,
    broad_excepts_are_at_home,
    destruction_has_one_gateway,
    no_shell,
    signals_have_one_home,
    only_the_clock_sleeps,
    only_the_renderer_prints,
    nothing_happens_on_import,
)
