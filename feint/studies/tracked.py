"""What trackers are told of a study: one summary a cell, its metrics averaged over its tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256

from feint.studies.cell import Cell
from feint.studies.store import Store
from feint.studies.wild_cell import WildCell
from feint.trackers import Guarded, Tracked, Tracker

KEPT = ("name", "version")


@contextmanager
def tracked(
    store: Store, cells: Sequence[Cell | WildCell], trackers: Sequence[Tracker], *, say: Callable[[str], None]
) -> Iterator[Callable[[Cell | WildCell], None]]:
    """Yield what tells the trackers of a cell that was recorded; they hear first of all that are `done` already.

    The step of a number is the seed of its cell. `say` is told in a sentence of a tracker that fails.
    """
    statuses = store.statuses()
    done = [cell for cell in cells if statuses[cell.key] == "done"]
    out, about = store.path.absolute(), store.about()

    def tell(cell: Cell | WildCell) -> None:
        if tracking:
            name = ".".join(filter(None, (cell.detector, cell.augmentation, cell.data, cell.normal, cell.task)))
            means = store.means(cell.key)
            tracking.numbers({f"{each}/{name.replace('/', '-')}": mean for each, mean in means.items()}, step=cell.seed)

    with Guarded(say, trackers) as tracking:
        settings = {name: about[name] for name in KEPT}
        key = sha256(str(out).encode(errors="surrogateescape")).hexdigest()[:12]
        tracking.begin(Tracked(command="study", out=out, settings=settings, key=key, resumed=bool(done)))
        for cell in done:
            tell(cell)
        yield tell
        tracking.end([], finished=True)
