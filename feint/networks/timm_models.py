"""Any network of the library timm, from a local file or its cache; the network is touched only where that is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from feint.core.errors import InputError, IntegrityError, SettingError
from feint.core.streams import seed_of
from feint.networks.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable

FINEST_STRIDE = 4
PUBLISHED_AS = "model.safetensors"


@final
class TimmNetwork(nn.Module):
    """A network of timm without its classifier; its maps are those at strides of 4 and more.

    Images are shifted and scaled by the mean and standard deviation that timm keeps with the weights. `size` is height
    and width in pixels of those it was trained on.

    Args:
        name: timm's, for example "resnet18.a1_in1k".
        weights: a file; None: timm's own, from the local cache of the Hugging Face hub.
        sha256: of `weights`, needed unless it is a .safetensors file.
        offline: False: weights that are not in the cache are downloaded.

    Raises: SettingError without the extra, for an unknown name, a network that has no maps, and weights that are not
    here; InputError where a download fails; IntegrityError where the file does not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, *, weights: Path | None = None, sha256: str | None = None, offline: bool = True
    ) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise SettingError("timm is not installed: pip install 'feint[timm]'.") from error
        if not timm.is_model(name):
            near = ", ".join(timm.list_models(f"*{name.partition('.')[0]}*")[:5])
            raise SettingError(f"timm has no network {name!r}{f'; near it: {near}' if near else ''}.")
        path = weights or _published(timm.get_pretrained_cfg(name), name, offline=offline)
        state = read_weights(path, sha256=sha256)
        try:
            untouched = _made(timm.create_model, name, None)
        except (AttributeError, NotImplementedError, RuntimeError) as error:
            raise SettingError(f"timm's {name} gives no maps: choose a network with features_only.") from error
        try:
            self.network = _made(timm.create_model, name, state)
        except (KeyError, RuntimeError) as error:
            raise IntegrityError(f"{path} does not fit timm's {name}: {str(error).partition(chr(10))[0]}") from error
        left = _left_at_random(self.network, untouched)
        if left:
            raise IntegrityError(f"{path} does not fit timm's {name}: it lacks {', '.join(left[:3])}.")
        config = timm.data.resolve_model_data_config(self.network)
        for statistic in ("mean", "std"):
            self.register_buffer(statistic, torch.tensor(config[statistic]).reshape(-1, 1, 1))
        self.size: tuple[int, int] = config["input_size"][1:]
        self._last_channels = str(getattr(self.network, "output_fmt", "")).endswith("NHWC")
        self._kept = [i for i, stride in enumerate(self.network.feature_info.reduction()) if stride >= FINEST_STRIDE]

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps (n, c_i, h_i, w_i) of RGB images (n, 3, h, w) in [0, 1]."""
        try:
            found = self.network((images - self.mean) / self.std)
        except AssertionError as error:
            raise SettingError(
                f"this network of timm wants images of another size: {error} Set encoder_size."
            ) from error
        kept = [found[i] for i in self._kept]
        return [each.permute(0, 3, 1, 2) for each in kept] if self._last_channels else kept


def _made(create: Callable[..., Any], name: str, state: dict[str, Tensor] | None) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(0, "timm"))
        if state is None:
            return create(name, pretrained=False, features_only=True)
        overlay = {"state_dict": dict(state), "custom_load": False}
        return create(name, pretrained=True, pretrained_cfg_overlay=overlay, features_only=True)


def _left_at_random(loaded: nn.Module, untouched: nn.Module) -> list[str]:
    """Return which weights a file did not bring: timm drops without a word what it cannot place."""
    before = dict(untouched.named_parameters())
    return [name for name, value in loaded.named_parameters() if value.ndim > 1 and torch.equal(value, before[name])]


def _published(config: Any, name: str, *, offline: bool) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository = config.hf_hub_id if config is not None else None
    if not repository:
        raise SettingError(f"timm publishes no weights for {name}: give weights, the path of a file.")
    file = config.hf_hub_filename or PUBLISHED_AS
    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    if offline:
        raise SettingError(
            f"the weights of timm's {name} are not in the local cache, and offline=True never touches the network: "
            f"give weights, the path of a file, or offline=False; or fetch them once, timm.create_model({name!r}, "
            "pretrained=True)."
        )
    try:
        return Path(hf_hub_download(repository, file))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(f"the weights of timm's {name} cannot be fetched from {repository}: {error}") from error
