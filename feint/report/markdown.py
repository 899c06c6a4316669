"""Any text as Markdown that shows it and nothing else."""

from __future__ import annotations

import re
from typing import final

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&#])")


@final
class Ready(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escaped(value: object) -> str:
    r"""Return a value as Markdown text of one line, within a line or a table; what is `Ready` stays.

    Example:
        >>> print(escaped("a_b | <script>\n# c"))
        a\_b \| \<script\>\\n\# c
    """
    return value if isinstance(value, Ready) else SPECIAL.sub(r"\\\1", _plain(str(value)))


def code(value: object) -> Ready:
    r"""Return a value as a code span of one line, within a line or a table.

    Example:
        >>> print(code("a`b"), code("x|y"), code("line\nline"))
        ``a`b`` `x\|y` `line\nline`
    """
    text = _plain(str(value)).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if not text.strip(" ") or text[0] in "` " or text[-1] in "` " else ""
    return Ready(f"{fence}{pad}{text}{pad}{fence}")


def _plain(text: str) -> str:
    """Return the text with what cannot be printed shown by its code."""
    return "".join(c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else ascii(c)[1:-1] for c in text)
