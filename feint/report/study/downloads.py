"""Tables as CSV files inside the page."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True)
class Download:
    """A file to download: its name, and its content as a `data:` address."""

    name: str
    uri: str


def download(table: pd.DataFrame, *parts: str) -> Download:
    r"""Return `table` as a CSV file (UTF-8, six digits) whose name is made of `parts`.

    Example:
        >>> import pandas as pd
        >>> file = download(pd.DataFrame({"a": [1, 0.5]}), "mean", "my data")
        >>> file.name, base64.b64decode(file.uri.partition(",")[2])
        ('mean-my-data.csv', b'a\n1\n0.5\n')
    """
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    name = "-".join(filter(None, (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)))
    return Download(f"{name or 'table'}.csv", f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}")
