"""Models of the library anomalib, fitted from memory, on the CPU and without the network."""

from __future__ import annotations

import inspect
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, TensorDataset

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Detector, Log, Scorer, as_unit
from feint.core.errors import IntegrityError, SettingError
from feint.core.streams import stream
from feint.detectors.adapters.surroundings import settings_of, surroundings
from feint.networks.pretrained import RGB
from feint.networks.weights import read_weights

FETCHES_NOTHING = ("Ganomaly",)
"""Models that have no pretrained part at all; of the others only those that can be told to go without."""


@final
class AnomalibScorer(Scorer):
    """The score and the map of a model of anomalib, which are its own, before any normalisation.

    Args:
        transform: what the model's images pass first; model: its torch part.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], *, transform: nn.Module, model: nn.Module, name: str
    ) -> None:
        super().__init__(channels, size)
        self.transform, self.model, self.name = transform, model, name

    def _predicted(self, images: Tensor) -> Any:
        with surroundings(0, "anomalib scores"):
            return self.model(self.transform(images.expand(-1, RGB, -1, -1)))

    def _scores(self, images: Tensor) -> Tensor:
        scores: Tensor = self._predicted(images).pred_score
        return scores.reshape(len(images))

    def _maps(self, images: Tensor) -> Tensor:
        found = self._predicted(images).anomaly_map
        if found is None:
            raise SettingError(f"anomalib's {self.name} gives no anomaly maps.")
        maps: Tensor = found.reshape(len(images), 1, *found.shape[-2:])
        return interpolate(maps, size=self.size, mode="bilinear", align_corners=False)[:, 0]


@final
@dataclass(frozen=True, kw_only=True)
class Anomalib(Detector[AnomalibScorer]):
    """A model of anomalib, trained by its own training steps under Lightning.

    Args:
        model: a class of `anomalib.models`, by name: "Padim", "Patchcore", "Fastflow", ... It must have a setting
            `pre_trained`, or no pretrained part: a model that fetches files of its own is refused.
        settings: of its constructor, as a JSON object.
        weights, sha256: a file with the weights of its backbone; None: random ones. Nothing is ever downloaded.
        image_size: side in pixels to which images are resized; epochs: None: what the model asks for, or 100.
        batch: images a step.

    Fails when: the weights are random and the model relies on features of ImageNet, as nearly all do.
    Cost: the model's own, for `epochs` passes over images of `image_size`.
    Raises: SettingError without the extra `anomalib`, for an unknown model or settings that it does not take;
    IntegrityError where the weights do not fit.
    References: Akcay et al. (ICIP 2022), Anomalib, arXiv:2202.08341.
    Deviations: no validation set, and hence no normalisation of scores and no early stopping.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "refused"

    model: str = "Padim"
    settings: str = "{}"
    weights: str | None = None
    sha256: str | None = None
    image_size: int = 256
    epochs: int | None = None
    batch: int = 32

    def __post_init__(self) -> None:
        settings_of("Anomalib", self.settings)
        if self.image_size < 1 or self.batch < 1 or (self.epochs is not None and self.epochs < 1):
            raise SettingError(
                "Anomalib: image_size, batch and epochs must be at least 1: "
                f"got {self.image_size}, {self.batch} and {self.epochs}."
            )

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> AnomalibScorer:  # noqa: ARG002
        with surroundings(seed, "anomalib"):
            module = self._made()
            self._train(module, normals, seed)
        size = (normals.shape[2], normals.shape[3])
        scorer = AnomalibScorer(
            normals.shape[1], size, transform=module.pre_processor.transform, model=module.model, name=self.model
        )
        return scorer.eval().requires_grad_(requires_grad=False)

    def _made(self) -> Any:
        kind = _class_named(self.model)
        settings, known = settings_of("Anomalib", self.settings), inspect.signature(kind).parameters
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise SettingError(
                f"anomalib's {self.model} has no setting {', '.join(unknown)}: it has {', '.join(known)}."
            )
        if "pre_trained" in known:
            settings["pre_trained"] = False
        elif self.model not in FETCHES_NOTHING:
            raise SettingError(
                f"anomalib's {self.model} fetches pretrained weights of its own, and nothing is downloaded here: "
                "choose a model with the setting pre_trained, such as Padim or Patchcore."
            )
        size = (self.image_size, self.image_size)
        module = kind(
            **settings,
            pre_processor=kind.configure_pre_processor(image_size=size),
            post_processor=False,
            evaluator=False,
            visualizer=False,
        )
        if self.weights is not None:
            self._load(module)
        return module

    def _load(self, module: nn.Module) -> None:
        from anomalib.models.components import TimmFeatureExtractor

        backbones = [each.feature_extractor for each in module.modules() if isinstance(each, TimmFeatureExtractor)]
        if not backbones:
            raise SettingError(f"anomalib's {self.model} has no backbone that weights could be loaded into.")
        state = read_weights(Path(str(self.weights)), sha256=self.sha256)
        for backbone in backbones:
            wanted = backbone.state_dict()
            missing = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
            missing = [name for name in missing if not name.endswith("num_batches_tracked")]
            if missing:
                raise IntegrityError(f"{self.weights} does not fit the backbone: it lacks {', '.join(missing[:3])}.")
            backbone.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)

    def _train(self, module: Any, normals: Tensor, seed: int) -> None:
        from anomalib.data import ImageBatch
        from lightning.pytorch import Trainer

        def batch(rows: list[tuple[Tensor, ...]]) -> Any:
            images = as_unit(torch.stack([row[0] for row in rows])).expand(-1, RGB, -1, -1)
            return ImageBatch(image=images, gt_label=torch.zeros(len(rows), dtype=torch.bool))

        loader = DataLoader(
            TensorDataset(normals),
            batch_size=self.batch,
            shuffle=True,
            collate_fn=batch,
            generator=stream(seed, "order"),
        )
        asked = {"max_epochs": 100} | module.trainer_arguments
        if self.epochs is not None:
            asked["max_epochs"] = self.epochs
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                **asked | {"devices": 1, "num_sanity_val_steps": 0},
                accelerator="cpu",
                default_root_dir=folder,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(module, loader)


def _class_named(name: str) -> Any:
    try:
        import anomalib.models
    except ImportError as error:
        raise SettingError("anomalib is not installed: pip install 'feint[anomalib]'.") from error
    found = getattr(anomalib.models, name, None)
    if not inspect.isclass(found) or not hasattr(found, "trainer_arguments"):
        raise SettingError(f"anomalib has no model {name!r}: give the name of a class, such as Padim or Patchcore.")
    return found
