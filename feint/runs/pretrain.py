"""`feint pretrain`: from a folder of unlabelled images to an encoder, with checkpoints and alarms on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import distributed

from feint.augmentations.views import views_named
from feint.backends import available_cores, divide, limit_threads
from feint.core.distributed import processes, rank
from feint.core.errors import FeintError, OutputError
from feint.networks.architectures import Architecture, build, save_encoder
from feint.pretraining.training import Pretraining, Training
from feint.records.pretraining import PretrainingRecord
from feint.runs.card import CARD, write_card
from feint.runs.chronicle import ENCODER, LOG, RECORD, Chronicle
from feint.runs.preparing import ImagesLike
from feint.runs.pretrain_images import Prepared, prepare
from feint.runs.pretrain_settings import PretrainSettings
from feint.runs.progress import Monitor, Silent
from feint.runs.tracking import Following, begin
from feint.runs.workspace import Workspace
from feint.trackers import Guarded, TrackerLike, trackers_of

PATIENCE = timedelta(hours=12)
GRACE = 5.0
STATE = "training.safetensors"

T = TypeVar("T")


def run_pretrain(
    images: ImagesLike,
    settings: PretrainSettings,
    *,
    out: Path,
    resume: bool = False,
    monitor: Monitor | None = None,
    trackers: Sequence[TrackerLike] = (),
) -> PretrainingRecord:
    """Pretrain an encoder on unlabelled images; `out` then holds it with its record, which is returned.

    Started by `torchrun`, the processes share each batch; the first one reads the images, writes and speaks. Where it
    raises one of the errors below, the others end with its exit code, silently.

    Raises: SettingError where method and encoder do not go together; InputError where the images cannot be worked
    with; OutputError where `out` exists or the disk is full; CollapseError where the training diverges.
    """
    with _processes(settings.device), closing(Workspace(out)) as space:
        speaker = (monitor or Silent()) if rank() == 0 else Silent()
        try:
            named = trackers_of(trackers)
            with Guarded(speaker.say, named if rank() == 0 else []) as tracking:
                data = _by_the_first(lambda: _opened(images, settings, space, resume=resume, monitor=speaker))
                begin(tracking, "pretrain", settings, space)
                record = _trained(data, settings, space, Following(speaker, tracking, space.result))
                if rank() == 0:
                    space.finish()
                    tracking.end([out / name for name in (RECORD, LOG, CARD)], finished=True)
            return record
        except FeintError as error:
            if rank() > 0:
                time.sleep(GRACE)  # as one of them ends, torchrun ends all: the first is to speak before
                raise SystemExit(error.exit_code) from error
            raise


def in_first_process() -> bool:
    """Tell whether this process is the one that speaks: the first that `torchrun` has started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def _opened(
    images: ImagesLike, settings: PretrainSettings, space: Workspace, *, resume: bool, monitor: Monitor
) -> Prepared:
    """Open the workspace and prepare the images in it; what cannot be gone on with is told and removed."""
    space.open(resume=resume)
    saved = (space.jobs / STATE).exists()
    try:
        data = prepare(images, settings, space, monitor)
    except (FeintError, OSError):
        space.discard()
        raise
    if resume and not saved:
        monitor.say(f"Nothing to go on from at {space.path}: starting afresh.")
    return data


def _trained(data: Prepared, settings: PretrainSettings, space: Workspace, monitor: Monitor) -> PretrainingRecord:
    """Train to the end, and write all that remains; what no resuming can mend is removed."""
    try:
        return _train(data, settings, space, monitor)
    except (FeintError, OSError) as error:
        if isinstance(error, OutputError) and (space.jobs / STATE).exists():
            raise OutputError(f"{error} What was trained is kept: the same command with --resume goes on.") from error
        if rank() == 0:
            space.discard()
        raise


def _train(data: Prepared, settings: PretrainSettings, space: Workspace, monitor: Monitor) -> PretrainingRecord:
    channels, pixels, state = data.preprocessing.channels, data.pixels(), space.jobs / STATE
    encoder = build(data.encoder, channels=channels, size=data.size, readout=settings.readout, seed=settings.seed)
    learner = settings.recipe.learner(encoder, seed=settings.seed)
    batch = min(settings.batch, len(pixels))
    training = Training(
        optimisation=settings.optimisation(batch),
        steps=settings.steps,
        batch=batch,
        seed=settings.seed,
        precision=settings.precision,
        device=settings.device,
    )
    pretraining = Pretraining(learner, pixels, views_named(settings.chosen_views), training=training)
    chronicle = Chronicle(pretraining, settings, data, folder=space.result, state=state, monitor=monitor)
    if state.exists():
        pretraining.load(state)
    chronicle.begin()
    monitor.phase("pretraining")
    pretraining.run(chronicle.tell)
    monitor.advance(settings.steps, settings.steps)

    def conclude() -> PretrainingRecord:
        record = chronicle.conclude()
        save_encoder(
            cast("Architecture", learner.encoder),
            space.result / ENCODER,
            name=data.encoder,
            channels=channels,
            size=data.size,
            readout=settings.readout,
        )
        write_card(space.result)
        return record

    return _by_the_first(conclude)


@contextmanager
def _processes(device: str) -> Iterator[None]:
    """Join the processes that `torchrun` has started, if it has; one process alone uses all cores."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        limit_threads(available_cores())
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Imported later, as optimisers do, its default arguments would hold the group, whose threads would never end: one
    # that lets go of a tensor while the interpreter ends aborts the process.
    import_module("torch.distributed.nn")
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        limit_threads(divide(available_cores(), processes()))
        yield
    finally:
        distributed.destroy_process_group()


def _by_the_first(make: Callable[[], T]) -> T:
    """Return in every process what the first one makes; if it fails, all of them raise its error."""
    if processes() == 1:
        return make()
    told: list[T | Exception | None] = [None]
    if rank() == 0:
        try:
            told = [make()]
        except Exception as error:  # the others would wait for it
            told = [error]
    distributed.broadcast_object_list(told, src=0)
    (found,) = told
    if isinstance(found, Exception):
        raise found
    return cast("T", found)
