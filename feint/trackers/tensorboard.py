"""Event files that TensorBoard shows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import SettingError
from feint.core.tracking import Tracked, Tracker

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

EVENTS = "events.out.tfevents"


@final
class TensorBoard(Tracker):
    """One event file a run, in a folder of the run's name in `place`; None is `tensorboard` beside the run.

    A resumed run replaces the file of its earlier attempts. Where another run has the folder of that name, the key is
    added to it. Numbers are kept in single precision; of files, Markdown is shown as text and others by their path.

    Raises: SettingError where the package tensorboard is not installed.
    """

    name = "tensorboard"

    def __init__(self, place: str | Path | None = None) -> None:
        if find_spec("tensorboard") is None:
            raise SettingError("TensorBoard is not installed: pip install 'feint[tensorboard]'.")
        self.place = None if place is None else Path(place)

    def begin(self, run: Tracked) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        root = self.place or run.out.parent / self.name
        both = root / run.name, root / f"{run.name}-{run.key}"
        for earlier in (file for folder in both for file in folder.glob(f"{EVENTS}.*.{run.key}")):
            earlier.unlink()
        folder = both[any(both[0].glob(f"{EVENTS}.*"))]
        folder.mkdir(parents=True, exist_ok=True)
        self._event = Event
        self._file = (folder / f"{EVENTS}.{time.time_ns()}.{run.key}").open("wb", buffering=0)
        self._writer = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        rows = "".join(f"| {name} | {value} |\n" for name, value in run.settings.items())
        self._text("settings", f"| setting | value |\n|---|---|\n{rows}")

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        told = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=told))

    def picture(self, name: str, image: NDArray[np.uint8]) -> None:
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        buffer = BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        height, width = image.shape[:2]
        shown = Summary.Image(
            height=height, width=width, colorspace=1 if image.ndim == 2 else 3, encoded_image_string=buffer.getvalue()
        )
        self._write(step=0, summary=Summary(value=[Summary.Value(tag=name, image=shown)]))

    def end(self, files: Sequence[Path], *, finished: bool) -> None:  # noqa: ARG002 an event file has no such mark
        for each in files:
            text = each.read_text(encoding="utf-8") if each.suffix == ".md" else str(each)
            self._text(f"files/{each.name}", text)
        self._file.close()

    def _text(self, name: str, text: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        value = Summary.Value(
            tag=name,
            metadata=SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text")),
            tensor=TensorProto(dtype=DT_STRING, string_val=[text.encode()]),
        )
        self._write(step=0, summary=Summary(value=[value]))

    def _write(self, *, file_version: str | None = None, step: int = 0, summary: Summary | None = None) -> None:
        event: Any = self._event(wall_time=time.time(), step=step, file_version=file_version, summary=summary)
        try:
            self._writer.write(event.SerializeToString())
        except OSError:
            self._file.close()
            raise
