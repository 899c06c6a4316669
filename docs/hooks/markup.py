"""Tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; a line break becomes a space, and a bar no end of a cell."""
    lines = [_row(header), "|" + "---|" * len(header), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(content: object) -> str:
    """Return one line in which bars are escaped, but in code, where they need not be."""
    spans = " ".join(str(content).split()).split("`")
    spans[::2] = [span.replace("|", r"\|") for span in spans[::2]]
    return "`".join(spans)


def quoted_table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading of a page; raises LookupError where there is none."""
    found = re.search(rf"(?m)^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", page, re.DOTALL)
    lines = [line for line in (found[1] if found else "").splitlines() if line.startswith("|")]
    if len(lines) < 3:
        raise LookupError(f"there is no table below {heading!r}")
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]
