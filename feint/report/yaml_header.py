"""Plain data as the YAML header of a Markdown file, safe for any text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

WORD = re.compile(r"[a-z_]+", re.ASCII)
RESERVED = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"}

Plain = None | bool | int | float | str | list["Plain"] | Mapping[str, "Plain"]


def yaml_header(values: Mapping[str, Plain]) -> str:
    r"""Return the header between its two lines of `---`; every text is quoted, so that none can end it.

    Keys of nested mappings may be any text, those of `values` are words. What cannot be printed is escaped.

    Example:
        >>> print(yaml_header({"path": "a\n---\nb", "rate": 1e-05, "sizes": {"n": [1, 2], "side": None}}))
        ---
        path: "a\n---\nb"
        rate: 1.0e-05
        sizes:
          "n": [1, 2]
          side: null
        ---
    """
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{name}:", *(f"  {_key(each)}: {_flow(inner)}" for each, inner in value.items())]
        else:
            lines.append(f"{name}: {_flow(value)}")
    return "\n".join(["---", *lines, "---"])


def _key(name: str) -> str:
    """Return a key, quoted unless it is a word that YAML takes for no more than that."""
    return name if WORD.fullmatch(name) and name not in RESERVED else _flow(name)


def _flow(value: Plain) -> str:
    """Return a value in one line."""
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in quoted)
    if isinstance(value, float):
        mantissa, e, exponent = json.dumps(value, allow_nan=False).partition("e")
        return f"{mantissa}{'.0' if e and '.' not in mantissa else ''}{e}{exponent}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(name)}: {_flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)
