"""One page for each detector, augmentation and criterion, made of catalogues, docstrings and measured tables."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any, Literal

from docstrings import Described, described, meanings, sentence_case
from markup import table
from measured import MEASURED, of_papers
from pictures import shown

from feint.augmentations import AUGMENTATIONS, NUISANCES
from feint.augmentations.policies import POLICIES, VARIANTS
from feint.core.augmentation import Augmentation
from feint.core.errors import FeintError
from feint.detectors import DETECTORS, POOL_DETECTORS
from feint.tuning.criteria import CRITERIA

Room = Literal["detectors", "augmentations", "criteria"]
ENTRIES: dict[Room, dict[str, Any]] = {
    "detectors": {**DETECTORS, **POOL_DETECTORS},
    "augmentations": {**AUGMENTATIONS, **NUISANCES},
    "criteria": {name: type(criterion) for name, criterion in CRITERIA.items()},
}
"""The class behind every page, by room and name."""

TITLES: dict[Room, str] = {"detectors": "Detectors", "augmentations": "Augmentations", "criteria": "Criteria"}
INTRODUCTIONS: dict[Room, str] = {
    "detectors": """\
What gives an image its anomaly score. `feint study` takes any of them by its name; `feint tune` weighs discriminators,
an autoencoder, features, and what learns from the unlabelled images themselves (`pool-probe`).
[Another one](../add-a-detector.md) is one file and one line.""",
    "augmentations": """\
What makes pseudo-anomalies of normal images; and two nuisances, changes that must not count as anomalies.
`feint augment NAME IMAGES --out sheet.png` shows one on your own images.
[Another one](../add-an-augmentation.md) is one file and two lines.""",
    "criteria": """\
Numbers that need no label, by which candidates can be chosen. Higher is better, always.
`feint tune` uses the two-sample AUROC; [How to choose](../how-to-choose.md) says why.""",
}
PSEUDO = {
    "required": "Learns from pseudo-anomalies: in a plan it needs an augmentation.",
    "refused": "Is fitted on normal images alone, without an augmentation.",
    "optional": "Can be fitted with pseudo-anomalies and without, as its settings say.",
}
PARTS = {
    "held_out": "scores of normal images kept out of training",
    "pool": "scores of the unlabelled images",
    "pseudo": "scores of pseudo-anomalies",
    "again": "scores of the same images with other seeds",
    "normal_embeddings": "embeddings of normal images",
    "pseudo_embeddings": "embeddings of pseudo-anomalies",
    "pool_embeddings": "embeddings of unlabelled images",
}


NEEDED = ("Fails when", "Cost", "References", "Deviations")


def index_page(room: Room) -> str:
    """Return the list of a room."""
    rows = [
        [f"[`{name}`]({name}.md)", _linked(described(kind).sentence.replace("\n", " "), room, at=name)]
        for name, kind in ENTRIES[room].items()
    ]
    return f"# {TITLES[room]}\n\n{INTRODUCTIONS[room]}\n\n{table(['name', 'what it is'], rows)}"


def entry_page(room: Room, name: str) -> str:
    """Return the page of one entry."""
    kind = ENTRIES[room][name]
    doc = described(kind)
    said = parts(kind)
    sections = {
        "": doc.sentence + "\n\n" + FACTS[room](name, kind),
        "What it does" if room == "augmentations" else "Formula": _formula(kind, doc),
        "Pictures": _pictures(name, kind) if room == "augmentations" else "",
        "Settings": "" if room == "augmentations" else _settings(kind),
        "Fails when": "… " + said["Fails when"],
        "Cost": sentence_case(said["Cost"]),
        "Measured here": MEASURED[room](name) or "Nothing that could stand alone in a table.\n",
        "What papers report": of_papers(f"{room}/{name}"),
        "References": sentence_case(said["References"]),
        "Deviations": sentence_case(said["Deviations"]),
    }
    text = "\n\n".join(
        (f"## {title}\n\n" if title else f"# {name}\n\n") + body.strip("\n")
        for title, body in sections.items()
        if body.strip()
    )
    return _linked(text, room, at=name) + "\n"


def parts(kind: type) -> dict[str, str]:
    """Return what stands behind the labels of a class's docstring, or else of a function's that it names.

    Raises: LookupError where a label is missing that a page needs.
    """
    found: dict[str, str] = {}
    for each in (*reversed(related(kind)), kind):
        found |= described(each).parts
    missing = [f"{label}:" for label in NEEDED if label not in found]
    if missing:
        raise LookupError(f"the docstring of {kind.__module__}.{kind.__name__} lacks {', '.join(missing)}")
    return found


def _detector_facts(name: str, kind: type) -> str:
    learns = (
        "Is fitted on normal and on unlabelled images; judge it on others (`cross_fitted`)."
        if name in POOL_DETECTORS
        else PSEUDO[DETECTORS[name].pseudo_anomalies]
    )
    return f"{learns} In a plan: `{name}`; in Python: `{kind.__module__}.{kind.__name__}`."


def _augmentation_facts(name: str, kind: type[Augmentation]) -> str:
    facts: list[str] = [kind.category]
    if name in NUISANCES:
        facts.append(f"a nuisance: `feint tune --nuisance {name}`")
    elif kind.magnitudes:
        facts.append(f"its magnitudes have a landscape: `feint tune --augmentations {name}`")
    if kind.outcomes:
        facts.append(f"{kind.outcomes} outcomes, which `AP` can tell apart")
    if kind.differentiable and kind.magnitudes:
        facts.append("with a gradient in its magnitudes")
    if not kind.bounded:
        facts.append("what comes out may leave [0, 1]")
    sentence = "; ".join(facts)
    code = f"`{kind.__module__}.{kind.__name__}`"
    return f"{sentence[0].upper()}{sentence[1:]}. In Python: {code}.\n\n{_magnitudes(name, kind)}"


def _magnitudes(name: str, kind: type[Augmentation]) -> str:
    if not kind.magnitudes:
        return ""
    header = ["magnitude", "unit", "range", "scale"]
    rows = [[f"`{each.name}`", each.unit, _range(each.low, each.high), each.scale] for each in kind.magnitudes]
    if name in POLICIES:
        policy, variant = POLICIES[name], VARIANTS.get(name)
        header += [f"`{name}` in a study", "one value in a study"]
        for row, each, low, high in zip(rows, kind.magnitudes, policy.low, policy.high, strict=True):
            set_by_number = variant is not None and variant.magnitude == each.name
            row += [_range(low, high), f"`{name}-{each.name.upper()}`" if set_by_number else ""]
    return table(header, rows)


def _range(low: float, high: float) -> str:
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _criterion_facts(name: str, kind: type) -> str:
    criterion = CRITERIA[name]
    needs = ", ".join(PARTS[part] for part in PARTS if part in criterion.needs)
    ranks = " Unchanged by any increasing transform of the scores." if criterion.ranks_only else ""
    consensus = " Judges each candidate by the others." if criterion.consensus else ""
    return f"Needs {needs}.{ranks}{consensus} In Python: `{kind.__module__}.{kind.__name__}`."


FACTS: dict[Room, Any] = {
    "detectors": _detector_facts,
    "augmentations": _augmentation_facts,
    "criteria": _criterion_facts,
}


def _formula(kind: type, doc: Described) -> str:
    """Return what the docstring says after its first sentence, and the formulas of what it names."""
    named = {each.__name__: described(each) for each in related(kind)}
    told = [f"`{name}`: {each.sentence}\n\n{each.body}" for name, each in named.items() if each.has_formula]
    return "\n\n".join([doc.body, *told])


def related(kind: type) -> list[Any]:
    """Return the classes and functions of Feint that a docstring names in backticks and that have no page."""
    pages = {each for entries in ENTRIES.values() for each in entries.values()}
    found = {}
    for word in re.findall(r"`([\w.]+)`", inspect.getdoc(kind) or ""):
        each = _resolved(word, sys.modules[kind.__module__])
        if each is not None and each is not kind and each not in pages:
            found[word] = each
    return list(found.values())


def _resolved(word: str, module: object) -> Any:
    path, _, name = word.rpartition(".")
    found = getattr(import_module(path) if path.startswith("feint.") else module, name, None)
    ours = getattr(found, "__module__", "").startswith("feint.")
    return found if ours and (inspect.isclass(found) or inspect.isfunction(found)) else None


def _settings(kind: type) -> str:
    settings = [each for each in fields(kind) if each.init]
    if not settings:
        return "It has none.\n"
    names = [each.name for each in settings]
    told: dict[str, str] = {}
    for source in reversed(kind.__mro__):
        if source.__module__.startswith("feint."):
            for each in related(source):
                told = meanings(each, names) | told
            told |= meanings(source, names)
    rows = [[f"`{each.name}`", f"`{_default(each)}`", told.get(each.name, "")] for each in settings]
    numbers = [each.name for each in settings if type(each.default) in {int, float}]
    refused = list(dict.fromkeys(_rules(kind, numbers)))
    allowed = "\n\nAnything else is refused: " + "; ".join(refused) + ".\n" if refused else ""
    return table(["setting", "default", "meaning"], rows) + allowed


def _default(field: Any) -> object:
    return repr(field.default_factory()) if field.default_factory is not MISSING else repr(field.default)


def _rules(kind: type, names: Sequence[str]) -> Iterator[str]:
    """Yield the rules with which the class itself refuses impossible numbers."""
    for name in names:
        try:
            kind(**{name: -1})
        except FeintError as error:
            found = re.search(r"is impossible: (.*)\.$|(?:\w+[.:] ?)?((?:\S+ )*?must be .*?): got", str(error))
            if found:
                yield (found[1] or found[2]).replace("*", r"\*")


def _pictures(name: str, kind: type[Augmentation]) -> str:
    note = "Generated images; left the originals. Place and other chances are the same in each row."
    if not kind.magnitudes:
        return f"![Two images and three outcomes of {name}](../pictures/{name}-outcomes.png)\n\n*{note}*"
    lines = [
        f"`{each.name}` at its lowest, in the middle and at its highest, {', '.join(shown(kind(), i))}:\n\n"
        f"![{name} with three values of {each.name}](../pictures/{name}-{each.name}.png)"
        for i, each in enumerate(kind.magnitudes)
    ]
    rest = " The other magnitudes lie at three quarters of their ranges." if len(kind.magnitudes) > 1 else ""
    return "\n\n".join([*lines, f"*{note}{rest}*"])


def _linked(text: str, room: Room, *, at: str) -> str:
    """Return text in which the backticked class of another entry leads to its page."""
    for other, entries in ENTRIES.items():
        for name, kind in entries.items():
            if name != at and kind is not ENTRIES[room].get(at):
                where = f"{name}.md" if other == room else f"../{other}/{name}.md"
                text = re.sub(rf"(?<!\[)`{kind.__name__}`(?!\])", f"[`{kind.__name__}`]({where})", text)
    return text
