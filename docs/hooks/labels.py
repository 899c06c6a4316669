"""Makes the labels of docstrings (`Cost:`, `References:`) paragraphs in the pages of the API."""

from __future__ import annotations

from docstrings import spaced
from griffe import Extension, Object


class Labels(Extension):
    """Rewrites each docstring as it is read."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            parameters = getattr(obj, "parameters", ())
            names = [each.name for each in parameters] or list(obj.members)
            obj.docstring.value = spaced(obj.docstring.value, names)
