"""A docstring as parts of a page: what comes before its labels, and what stands behind each of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass

LABELS = ("Args", "Attributes", "Returns", "Raises", "Fails when", "Cost", "References", "Deviations", "Example")
_LABEL = re.compile(rf"(?m)(?:^|(?<=\. ))({'|'.join(LABELS)}):(?=\s)")


@dataclass(frozen=True, kw_only=True)
class Described:
    """A docstring in parts, all Markdown: the first sentence, what follows it, and the text behind each label."""

    sentence: str
    body: str
    parts: dict[str, str]

    @property
    def has_formula(self) -> bool:
        """Whether the text before and between the labels holds an indented block."""
        return bool(re.search(r"(?m)^    \S", self.body))


def described(subject: object) -> Described:
    """Return the docstring of a class or function in parts; text after a label's paragraph belongs to the body."""
    start, *rest = _LABEL.split(inspect.getdoc(subject) or "")
    sentence, _, body = start.strip().partition("\n\n")
    parts: dict[str, str] = {}
    for label, text in zip(rest[::2], rest[1::2], strict=True):
        part, *after = re.split(r"\n\n(?=\S)", text.strip("\n"), maxsplit=1)
        parts[label] = part.strip("\n")
        body += "".join(f"\n\n{each}" for each in after)
    return Described(
        sentence=prose(sentence),
        body=prose(body.strip("\n")),
        parts={name: prose(inspect.cleandoc(text)) for name, text in parts.items() if name != "Example"},
    )


def meanings(subject: object, names: Sequence[str]) -> dict[str, str]:
    """Return what the docstring says of each of the `names` under Args: `a, b: of the encoder. c: ...` tells of all."""
    doc = inspect.getdoc(subject) or ""
    found = re.search(r"(?m)^Args:\s(.*?)(?=\n\n\S|\n\S|\Z)", doc, re.DOTALL)
    if found is None or not names:
        return {}
    either = "|".join(map(re.escape, names))
    told = re.split(rf"(?<![\w.])((?:{either})(?:, (?:{either}))*): ", " ".join(found[1].split()))
    return {
        name: prose(re.sub(r"\. For the (?:rest|others) see `\w+`$", "", meaning.strip(" ;.")))
        for several, meaning in zip(told[1::2], told[2::2], strict=True)
        for name in several.split(", ")
    }


def prose(text: str) -> str:
    """Return text whose asterisks and angle brackets are no markup; code and indented blocks stay as they are."""
    lines = []
    for line in text.splitlines():
        if line.startswith("    "):
            lines.append(line)
            continue
        spans = line.split("`")
        spans[::2] = [span.replace("*", r"\*").replace("<", "&lt;").replace(">", "&gt;") for span in spans[::2]]
        lines.append("`".join(spans))
    return "\n".join(lines)


def sentence_case(text: str) -> str:
    """Return text with a capital first letter, if it starts with a word: not `d(X, Y)`, not `O(n)`."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,;:]", text) and text[1:2].isalpha() else text


def spaced(doc: str, names: Sequence[str]) -> str:
    """Return a docstring with each argument on a line of its own, and one-line labels as paragraphs in bold.

    `k: neighbours. n: images.` becomes two lines, `Cost: O(n)` a paragraph; `names` are those of the arguments.
    """
    either = "|".join(map(re.escape, names)) or "(?!)"
    parted = re.sub(
        r"(?m)^Args:\n(?:[ ]+.*\n?)+",
        lambda found: re.sub(rf"(?<=[.;])\s+((?:{either})(?:, (?:{either}))*): ", r"\n    \1: ", found[0]),
        inspect.cleandoc(doc),
    )
    return re.sub(rf"(?m)(?:^|(?<=\. ))({'|'.join(LABELS)}): (?=\S)", r"\n\n**\1**: ", parted)
