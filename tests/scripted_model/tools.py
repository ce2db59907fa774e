"""From logical tool names to the names and shapes this client offers in this request."""

import json
import secrets
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.scripted_model.conversation import Call, Conversation, Offer

SHELL_NAMES = ("Bash", "exec_command", "shell_command", "shell", "bash", "run_shell_command", "execute_bash")
WRITE_NAMES = ("Write", "write_file", "write")
SERVER = "agentorchestr"


@dataclass(frozen=True)
class WireCall:
    """A call as the client reads it; *free_text* instead of *arguments* for a custom tool."""

    call_id: str
    name: str
    namespace: str = ""
    arguments: dict[str, object] | None = None
    free_text: str = ""


def to_wire(call: Call, conversation: Conversation, *, number: int) -> WireCall:
    """Name and shape *call* for this client."""
    call_id = f"call_{number}_{call.tool.replace(':', '-', 1)}_{secrets.token_hex(3)}"
    exec_offer = _code_mode(conversation)
    if exec_offer is not None:
        return WireCall(call_id, "exec", namespace=exec_offer.namespace, free_text=_script(call))
    if call.tool.startswith("mcp:"):
        return _mcp_call(call_id, call, conversation)
    if call.tool == "shell":
        return _shell_call(call_id, str(call.arguments["command"]), conversation)
    if call.tool == "write_file":
        return _write_call(call_id, call, conversation)
    return WireCall(call_id, call.tool, arguments=dict(call.arguments))


def _mcp_call(call_id: str, call: Call, conversation: Conversation) -> WireCall:
    name = call.tool.removeprefix("mcp:")
    for offer in conversation.offers:
        if SERVER in offer.full_name and offer.full_name.endswith(f"_{name}"):
            return WireCall(call_id, offer.name, offer.namespace, dict(call.arguments))
    if any(offer.kind == "search" for offer in conversation.offers):
        # Codex defers MCP tools of some models; it runs one that is named without a search.
        return WireCall(call_id, name, f"mcp__{SERVER}", dict(call.arguments))
    return WireCall(call_id, f"mcp__{SERVER}__{name}", arguments=dict(call.arguments))


def _shell_call(call_id: str, command: str, conversation: Conversation) -> WireCall:
    name = next((n for n in SHELL_NAMES if any(o.name == n for o in conversation.offers)), SHELL_NAMES[0])
    return WireCall(call_id, name, arguments=_shell_arguments(name, command))


def _shell_arguments(name: str, command: str) -> dict[str, object]:
    if name == "exec_command":
        return {"cmd": command, "login": False, "yield_time_ms": 30000}
    if name == "shell":
        return {"command": ["bash", "-c", command]}
    if name == "Bash":
        return {"command": command, "description": "Work on the task"}
    return {"command": command}


def _write_call(call_id: str, call: Call, conversation: Conversation) -> WireCall:
    path, content = str(call.arguments["path"]), str(call.arguments["content"])
    if any(offer.name == "Write" for offer in conversation.offers):
        full = PurePosixPath(conversation.working_directory) / path
        return WireCall(call_id, "Write", arguments={"file_path": str(full), "content": content})
    if any(offer.name == "apply_patch" and offer.kind == "custom" for offer in conversation.offers):
        return WireCall(call_id, "apply_patch", free_text=_patch(path, content))
    return _shell_call(call_id, _write_command(path, content), conversation)


def _patch(path: str, content: str) -> str:
    lines = "".join(f"+{line}\n" for line in content.splitlines())
    return f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n"


def _write_command(path: str, content: str) -> str:
    folder = shlex.quote(str(PurePosixPath(path).parent))
    return f"mkdir -p {folder} && printf %s {shlex.quote(content)} > {shlex.quote(path)}"


def _code_mode(conversation: Conversation) -> Offer | None:
    """Codex's newer models get one ``exec`` tool that runs JavaScript."""
    return next((o for o in conversation.offers if o.name == "exec" and o.kind == "custom"), None)


def _script(call: Call) -> str:
    if call.tool.startswith("mcp:"):
        inner, arguments = f"mcp__{SERVER}__{call.tool.removeprefix('mcp:')}", dict(call.arguments)
    elif call.tool == "write_file":
        command = _write_command(str(call.arguments["path"]), str(call.arguments["content"]))
        inner, arguments = "exec_command", _shell_arguments("exec_command", command)
    elif call.tool == "shell":
        inner, arguments = "exec_command", _shell_arguments("exec_command", str(call.arguments["command"]))
    else:
        inner, arguments = call.tool, dict(call.arguments)
    pragma = '// @exec: {"yield_time_ms": 240000}\n'
    # The results are objects round the text: a command's output, an MCP tool's parts.
    shown = {"exec_command": "found.output"}.get(inner, "found")
    if inner.startswith("mcp__"):
        shown = "found.content.map((part) => part.text).join()"
    return f"{pragma}const found = await tools.{inner}({json.dumps(arguments)});\ntext({shown});\n"
