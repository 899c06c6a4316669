"""A detector in the protocols of scikit-learn and PyOD: `fit`, `decision_function`, `predict`; a run within."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, final

import numpy as np
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from feint import __version__
from feint.backends import available_cores
from feint.calibration.conformal import threshold
from feint.calibration.decision import decide
from feint.core.errors import InputError, SettingError
from feint.data import ImageSet, decode
from feint.data.sources import Role
from feint.runs.api import problems
from feint.runs.default_model import fit_default
from feint.runs.estimator_inputs import Channels, are_images, batches, images_of, refuse_unreadable
from feint.runs.judging import Judged
from feint.runs.model import MANIFEST, WEIGHTS, Model
from feint.runs.settings import BudgetName, TuneSettings
from feint.runs.tune import run_tune


@final
class FeintDetector(BaseEstimator):  # type: ignore[misc]
    """An anomaly detector for images, fitted without labels, that speaks scikit-learn's and PyOD's protocols.

    Directions and labels are PyOD's: `decision_function` is higher for more anomalous images, `predict` gives 1 for
    anomalous and 0 for normal ones. Outlier detectors of scikit-learn do the opposite (higher = more normal; 1 normal,
    -1 anomalous). No `contamination` is needed: the threshold holds a rate of false alarms, by normal images that
    neither trained nor chose anything.

    Wherever images are asked for: a folder, a CSV or Parquet manifest, a list of paths, or an array (n, h, w),
    (n, h, w, c) or (n, c, h, w), uint8, uint16 or float in [0, 1]. Images of any size are resized as those of the fit
    were; colour becomes grey where these were grey, and grey becomes three equal channels.

    Args:
        seed: same seed, same machine: same scores to the last bit.
        budget: "quick", "standard" or "thorough"; steps, not seconds.
        image_size: square root of the number of pixels that images are resized to; None leaves it to the budget.
        false_alarm_rate: largest share of normal images that may be flagged, on average; None is 0.05, or the
            smallest rate that so few normal images support.
        augmentations: those to search or to mix, of `feint.augmentations.AUGMENTATIONS`; None: those of the budget.
        nuisances: changes that must not count as anomalies, of `feint.augmentations.NUISANCES`.
        single: one voter is the answer, not several.
        encoder: weights from which further candidates start, as for `feint.tune`; only with unlabelled images.
        device: "cpu" or "cuda", for the training.
        channels: "first" or "last", which axis of a four-dimensional array holds the channels; None: the axis of
            length 1, 3 or 4, and an error where both could.
        out: the folder of the run that a fit with unlabelled images makes, report included; it must not exist. None: a
            temporary one, removed after the fit.

    Attributes:
        decision_scores_: scores (n,) of the images of the fit, each by a detector that was not trained on it.
        labels_: 1 where such an image stands out among its kind at the false-alarm rate, else 0: worth a look, for it
            may be an anomaly that hides in the training set. About that rate of normal images always does.
        threshold_: score above which an image is flagged. Where few images are cross-fitted, several models vote by
            p-values, and it is where flags begin, up to a few images next to it.
        false_alarm_rate_: the rate in force; None where `set_threshold` has set a value.
        model_: the fitted `feint.runs.model.Model`.

    Fails when: the normal images to come differ from those of the fit (another day, camera, light): the false-alarm
    rate then holds no more. Cost: that of `feint.tune`; without unlabelled images that of its final training alone.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: BudgetName = "standard",
        image_size: int | None = None,
        false_alarm_rate: float | None = None,
        augmentations: Sequence[str] | None = None,
        nuisances: Sequence[str] = (),
        single: bool = False,
        encoder: str | Path | None = None,
        device: str = "cpu",
        channels: Channels | None = None,
        out: str | Path | None = None,
    ) -> None:
        self.seed = seed
        self.budget = budget
        self.image_size = image_size
        self.false_alarm_rate = false_alarm_rate
        self.augmentations = augmentations
        self.nuisances = nuisances
        self.single = single
        self.encoder = encoder
        self.device = device
        self.channels = channels
        self.out = out

    def fit(self, X: object, y: object = None, *, unlabelled: object = None) -> Self:
        """Fit on normal images, and tune to unlabelled ones where there are any; return the estimator.

        With `unlabelled` this is `feint.tune`: augmentation and detector are chosen by how well they tell unlabelled
        images from normal ones held out. Without, there is nothing to choose by, and nothing is chosen: the fixed
        default is trained (a discriminator of three kinds of random pseudo-anomalies, on the whole image and on its
        tiles; features of EfficientNet-Lite0 where `feint[lite0]` is installed). Either way the threshold is set by
        normal images held out of everything, and under 100 of them are cross-fitted.

        Args:
            X: normal images, at least 20; a few anomalous ones among them do little harm.
            y: ignored, as by scikit-learn's outlier detectors: no label is ever read. Images in this place, which
                labels cannot be taken for, are the unlabelled ones.
            unlabelled: normal and anomalous images mixed, as they come; by name, since scikit-learn gives y second.

        Raises: SettingError, InputError, UnsupportedRateError, OutputError, WorkerError; each says what to do.
        """
        settings = self._settings()
        if are_images(y):
            if unlabelled is not None:
                raise SettingError("unlabelled images are given twice, second and by name: give them once.")
            unlabelled = y
        images = self._images(X, "normal")
        if unlabelled is None:
            if self.out is not None:
                raise SettingError(
                    f"out = {self.out!r} is for the run of a fit with unlabelled images: give unlabelled."
                )
            model, judged = fit_default(images, settings)
        else:
            model, judged = self._tuned(images, self._images(unlabelled, "unlabelled"), settings)
        self.model_ = model
        self.decision_scores_ = judged.scores
        self._ranks = judged.p_values
        return self.set_threshold(false_alarm_rate=model.rate)

    def decision_function(self, X: object) -> np.ndarray:
        """Return anomaly scores (n,), higher = more anomalous; PyOD's direction, the opposite of scikit-learn's."""
        return self._judged(X)[0]

    def p_value(self, X: object) -> np.ndarray:
        """Return conformal p-values (n,), in (0, 1], low = anomalous.

        Of normal images at most a share p has a p-value of p or less, on average over calibration sets; where few
        images are cross-fitted that is proven up to a factor of two.
        """
        return self._judged(X)[1]

    def predict(self, X: object) -> np.ndarray:
        """Return labels (n,): 1 anomalous, 0 normal, by the threshold in force."""
        scores, p = self._judged(X)
        return self._labels(scores, p)

    def predict_proba(self, X: object) -> np.ndarray:
        """Return (n, 2): the p-value, and 1 minus it, the share of held-out normal images that score lower.

        PyOD's columns. Neither is the probability that an image is anomalous, which depends on how many anomalies
        come, and nobody knows that.
        """
        p = self._judged(X)[1]
        return np.stack([p, 1 - p], axis=1)

    def predict_map(self, X: object) -> np.ndarray:
        """Return anomaly maps (n, h, w), float32, at the size of the images: 0 is ordinary, 1 clearly unusual.

        Raises: InputError where the images are of several sizes.
        """
        from PIL import Image

        images, model = self._fitted_images(X), self.model_
        maps = [model.members[0].maps(decoded.pixels[own[0]]) for decoded, own in batches(model, images)]
        sizes = {(header.height, header.width) for header in map(images.header, range(len(images)))}
        if len(sizes) > 1:
            raise InputError(
                f"maps of {len(sizes)} sizes do not make one array: give images of one size at a time, or write the "
                "maps of a run with feint.score(run, images, maps=FOLDER)."
            )
        height, width = sizes.pop()
        low, high = model.map_scale
        enlarged = [
            np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BILINEAR))
            for batch in maps
            for each in batch
        ]
        return (np.stack(enlarged) - np.float32(low)) / np.float32(high - low)

    def set_threshold(self, *, false_alarm_rate: float | None = None, value: float | None = None) -> Self:
        """Move the threshold, and `labels_` with it, without fitting again; return the estimator.

        Args:
            false_alarm_rate: largest share of normal images that may be flagged, on average. value: a score instead.

        Raises: SettingError unless exactly one is given; UnsupportedRateError where the calibration images are too few.
        """
        check_is_fitted(self, "model_")
        if false_alarm_rate is not None and value is None:
            self.threshold_ = threshold(self.model_.calibration_scores, false_alarm_rate)
        elif value is not None and false_alarm_rate is None and np.isfinite(value):
            self.threshold_ = float(value)
        else:
            raise SettingError(
                f"give either false_alarm_rate or a finite value: got false_alarm_rate={false_alarm_rate} and "
                f"value={value}."
            )
        self.false_alarm_rate_ = false_alarm_rate
        self.labels_ = self._labels(self.decision_scores_, self._ranks)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickle and joblib: the model as safetensors bytes and JSON, no torch object."""
        state = self.__dict__.copy()
        if "model_" in state:
            with TemporaryDirectory(prefix="feint-") as folder:
                state["model_"].save(Path(folder), version=__version__)
                state["model_"] = {name: (Path(folder) / name).read_bytes() for name in (WEIGHTS, MANIFEST)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state back; raises IntegrityError where the model in it was changed."""
        self.__dict__.update(state)
        if "model_" in state:
            with TemporaryDirectory(prefix="feint-") as folder:
                for name, content in state["model_"].items():
                    (Path(folder) / name).write_bytes(content)
                self.model_ = Model.load(Path(folder))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what goes in: images, not rows of features, and no labels."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "outlier_detector"
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def _settings(self) -> TuneSettings:
        """Return the settings, checked."""
        values = {name: value for name, value in self.get_params().items() if name in TuneSettings.model_fields}
        values["encoder"] = None if self.encoder is None else str(self.encoder)
        try:
            return TuneSettings.model_validate(values)
        except ValidationError as error:
            raise SettingError(problems(error)) from None

    def _images(self, X: object, role: Role) -> ImageSet:
        return images_of(X, role=role, channels=self.channels)

    def _fitted_images(self, X: object) -> ImageSet:
        check_is_fitted(self, "model_")
        return self._images(X, "unlabelled")

    def _tuned(self, normal: ImageSet, unlabelled: ImageSet, settings: TuneSettings) -> tuple[Model, Judged]:
        """Return the model of a run, and what it says of its normal images, in their order."""
        refuse_unreadable(decode(normal, [], workers=available_cores()))
        with TemporaryDirectory(prefix="feint-") as temporary:
            run = run_tune(normal, unlabelled, settings, out=Path(self.out or Path(temporary) / "run"))
            table = run.normals.set_index("path").loc[list(normal.names)]
            judged = Judged(*(table[name].to_numpy() for name in ("score", "p_value", "flagged")))
            return run.model, judged

    def _judged(self, X: object) -> tuple[np.ndarray, np.ndarray]:
        """Return score and p-value (n,) of images."""
        images, model = self._fitted_images(X), self.model_
        found = [
            [member.scores(decoded.pixels[k]) for member, k in zip(model.members, own, strict=True)]
            for decoded, own in batches(model, images)
        ]
        scores, p, _ = model.judge([np.concatenate(each) for each in zip(*found, strict=True)])
        return scores.astype(np.float64), p

    def _labels(self, scores: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Return 1 for anomalous and 0 for normal, by the rate in force, or by the score where a value is."""
        if self.false_alarm_rate_ is None:
            return (scores > self.threshold_).astype(int)
        return decide(p, false_alarm_rate=self.false_alarm_rate_).astype(int)
