"""A Jupyter notebook as Markdown: text as it is, code in fences, printed output and pictures below it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def as_markdown(path: Path) -> dict[str, str | bytes]:
    """Return the page of a notebook and its pictures, by their paths in the site."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found: dict[str, str | bytes] = {}
    page = []
    for i, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            page.append(source)
            continue
        page.append(f"```python\n{source}\n```")
        for j, output in enumerate(cell["outputs"]):
            picture = output.get("data", {}).get("image/png")
            if picture:
                name = f"pictures/{path.stem}-{i}-{j}.png"
                found[name] = base64.b64decode("".join(picture))
                page.append(f"![What the cell above draws]({name})")
            else:
                page.append(f"```text\n{printed(output).rstrip()}\n```")
    page.append(f"[This page as a notebook]({path.name})")
    return {f"{path.stem}.md": "\n\n".join(page) + "\n"} | found


def printed(output: dict[str, Any]) -> str:
    """Return the text of a cell's output."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain") or "")
