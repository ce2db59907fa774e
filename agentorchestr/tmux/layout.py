"""Where the panes of one window stand, as tmux's own layout text."""

MAX_PANES = 5
"""More panes than this in one window are too small to read."""
SMALLEST = (20, 12)


def team_layout(width: int, height: int, *, panes: int, lead: bool) -> str:
    """The layout for *panes* panes in a window of *width* by *height* cells.

    With *lead* the first pane takes the upper half and the others stand in two columns below; without,
    and in a window too small for that, tmux tiles them. Source: layout-custom.c. A text that does not begin
    with a checksum ends tmux 3.3a, so layouts come from here only.
    """
    workers = panes - 1
    if not lead or workers < 1 or workers > MAX_PANES - 1 or width < SMALLEST[0] or height < SMALLEST[1]:
        return "tiled"
    upper = height // 2
    rows = _rows(workers, width=width, top=upper + 1, height=height - upper - 1)
    cells = ",".join([f"{width}x{upper},0,0", *rows])
    text = f"{width}x{height},0,0[{cells}]"
    return f"{checksum(text):04x},{text}"


def _rows(workers: int, *, width: int, top: int, height: int) -> list[str]:
    counts = [min(2, workers)] + ([workers - 2] if workers > 2 else [])  # noqa: PLR2004 - two columns
    rows, left, place = [], height, top
    for count, rest in zip(counts, range(len(counts), 0, -1), strict=True):
        tall = (left - (rest - 1)) // rest
        rows.append(_row(count, width=width, top=place, height=tall))
        place += tall + 1
        left -= tall + 1
    return rows


def _row(count: int, *, width: int, top: int, height: int) -> str:
    if count == 1:
        return f"{width}x{height},0,{top}"
    first = (width - 1) // 2
    second = width - first - 1
    cells = f"{first}x{height},0,{top},{second}x{height},{first + 1},{top}"
    return f"{width}x{height},0,{top}{{{cells}}}"


def checksum(text: str) -> int:
    """Compute tmux's checksum of a layout, sixteen bits wide."""
    total = 0
    for byte in text.encode("ascii"):
        total = ((total >> 1) + ((total & 1) << 15) + byte) & 0xFFFF
    return total
