"""What the doctor tells of a broker that a person named: each ability as a finding."""

from agentorchestr.doctor.findings import Finding, fine, warning
from agentorchestr.errors import BusError
from agentorchestr.model.broker import BrokerAbilities, ability_rows

NAME = "broker"
OTHER = "agentorchestr --doctor --broker URL, with another broker"


def broker_findings(where: str, found: BrokerAbilities | BusError) -> tuple[Finding, ...]:
    """One finding for the broker and one for each ability; a goal starts without any of them."""
    if isinstance(found, BusError):
        hint = f" ({found.hint})" if found.hint else ""
        return (warning(NAME, f"{found}{hint}", fix=""),)
    rows = tuple(
        fine(row.name, row.about)
        if row.mark == "ok"
        else warning(row.name, f"does not work: {row.about}", fix=OTHER if row.mark == "FAILED" else "")
        for row in ability_rows(found)
    )
    if found.lacking:
        told = warning(NAME, f"{where} lacks {', '.join(found.lacking)}: no agent would be on it", fix=OTHER)
    else:
        told = fine(NAME, f"{where} lets us in")
    return (told, *rows)
