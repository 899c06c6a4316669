"""How templates are read: strictly, with everything escaped, and with the words of the reports as filters."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from feint.report import words

FILTERS = {
    "count": words.count,
    "number": words.number,
    "decimals": words.decimals,
    "percent": words.percent,
    "p_value": words.p_value,
    "duration": words.duration,
}


@cache
def environment(folder: Path) -> Environment:
    """Return the environment of the templates in `folder`."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters.update(FILTERS)
    return made
