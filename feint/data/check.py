"""What `feint data check` finds out: how folders were understood, and whether a run could use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import PurePosixPath

from pydantic import Field

from feint.data.decoding import Decoded, decode
from feint.data.duplicates import groups_of_duplicates, near_duplicates
from feint.data.images import ImageSet
from feint.data.preprocessing import plan_preprocessing
from feint.data.survey import Survey, survey
from feint.metrics.ranks import minimum_images
from feint.records.run import PreprocessingRecord, Record, Skipped

FEWEST_NORMALS = 20
IMAGE_SIZE = 64
RATES = (0.05, 0.01)


class SetRecord(Record):
    """One image set: how it was understood, what it holds, what cannot be used."""

    source: str
    layout: str
    images: int = Field(description="readable images")
    folders: dict[str, int] = Field(description="folder, relative to the source -> readable images directly in it")
    smallest: tuple[int, int] = Field(description="height, width; smallest, middle and largest by area")
    median: tuple[int, int]
    largest: tuple[int, int]
    modes: dict[str, int]
    skipped: list[Skipped]
    notes: list[str]
    duplicates: list[list[str]] = Field(description="groups of images that are pixel for pixel the same")
    near_duplicates: list[tuple[str, str]] = Field(description="pairs that look like two saves of one shot")


class RateRecord(Record):
    """Whether there are enough normal images for a false-alarm rate, should all of them calibrate."""

    rate: float
    needed: int
    enough: bool


class CheckRecord(Record):
    """The whole finding; `problems` are what would stop a run or leave it nothing to find, in sentences."""

    usable: bool
    problems: list[str]
    normal: SetRecord
    unlabelled: SetRecord | None
    shared: list[tuple[str, str]] = Field(description="unlabelled and normal image with the same pixels")
    nearly_shared: list[tuple[str, str]] = Field(description="unlabelled and normal image that look like one shot")
    preprocessing: PreprocessingRecord = Field(description="what a run at 64 px would do")
    rates: list[RateRecord]


def check_images(
    normal: ImageSet,
    unlabelled: ImageSet | None,
    *,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> CheckRecord:
    """Return what two image sets hold and share; decodes every image once.

    `progress` is called after each image with how many are done and how many there are.

    Raises: InputError when either holds no readable image.
    """
    total = len(normal) + len(unlabelled or ())

    def tell(done: int) -> None:
        if progress:
            progress(done, total)

    examined = _Examined(normal, workers, tell)
    other = _Examined(unlabelled, workers, lambda done: tell(len(normal) + done)) if unlabelled else None
    n = len(examined.decoded.names)
    shared = _shared(other.decoded, examined.decoded) if other else []
    problems = _problems(examined.decoded)
    if other and len(shared) == len(other.decoded.names):
        problems.append(nothing_to_tell(len(shared)))
    return CheckRecord(
        usable=not problems,
        problems=problems,
        normal=examined.record(),
        unlabelled=other.record() if other else None,
        shared=shared,
        nearly_shared=_nearly_shared(other.decoded, examined.decoded) if other else [],
        preprocessing=plan_preprocessing(examined.survey, image_size=IMAGE_SIZE),
        rates=[RateRecord(rate=rate, needed=minimum_images(rate), enough=n >= minimum_images(rate)) for rate in RATES],
    )


def nothing_to_tell(n: int) -> str:
    """Return the sentence that all n unlabelled images are known to be normal."""
    which = "The only unlabelled image also stands" if n == 1 else f"All {n:,} unlabelled images also stand"
    return (
        f"{which} among the normal ones: there is nothing to tell apart. "
        "A run only says which normal images look odd, in its report and normals.csv."
    )


class _Examined:
    """One set, surveyed and decoded."""

    def __init__(self, images: ImageSet, workers: int, progress: Callable[[int], None]) -> None:
        self.images = images
        self.survey: Survey = survey(images, workers=workers)
        self.decoded: Decoded = decode(images, [], workers=workers, progress=progress)

    def record(self) -> SetRecord:
        """Return the facts of this set alone."""
        decoded, readable = self.decoded, self.survey.among(self.decoded.kept)
        smallest, median, largest = readable.extreme_sizes()
        folders = Counter(PurePosixPath(name).parent.as_posix() for name in decoded.names)
        return SetRecord(
            source=self.images.source,
            layout=self.images.layout,
            images=len(decoded.names),
            folders=dict(sorted(folders.items())),
            smallest=smallest,
            median=median,
            largest=largest,
            modes=readable.mode_counts(),
            skipped=list(decoded.skipped),
            notes=list(self.survey.notes),
            duplicates=[[decoded.names[i] for i in group] for group in groups_of_duplicates(decoded.hashes)],
            near_duplicates=_near_pairs(decoded),
        )


def _problems(normal: Decoded) -> list[str]:
    n = len(normal.names)
    found = []
    if n < FEWEST_NORMALS:
        found.append(
            f"{n} readable normal images are too few: at least {FEWEST_NORMALS} are needed. Add normal images."
        )
    if n > 1 and len(set(normal.hashes)) == 1:
        found.append(f"all {n} normal images are identical, pixel for pixel: give different pictures of normal parts.")
    return found


def _near_pairs(decoded: Decoded) -> list[tuple[str, str]]:
    """Return pairs of different images that look alike, one representative for each group of exact duplicates."""
    first = {each: i for i, each in reversed(list(enumerate(decoded.hashes)))}
    unique = sorted(first.values())
    pairs = near_duplicates(decoded.thumbnails[unique])
    return [(decoded.names[unique[i]], decoded.names[unique[j]]) for i, j in pairs]


def _shared(unlabelled: Decoded, normal: Decoded) -> list[tuple[str, str]]:
    names = dict(zip(reversed(normal.hashes), reversed(normal.names), strict=True))
    return [(a, names[each]) for a, each in zip(unlabelled.names, unlabelled.hashes, strict=True) if each in names]


def _nearly_shared(unlabelled: Decoded, normal: Decoded) -> list[tuple[str, str]]:
    known = set(normal.hashes)
    new = [i for i, each in enumerate(unlabelled.hashes) if each not in known]
    pairs = near_duplicates(unlabelled.thumbnails[new], normal.thumbnails)
    return [(unlabelled.names[new[i]], normal.names[j]) for i, j in pairs]
