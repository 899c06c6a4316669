"""What one request, and all of them together, may cost; and how a request is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import final

from feint.core.errors import SettingError
from feint.data.reading import MEGAPIXEL_LIMIT

MEBI = 2**20


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a service; one more than each is refused.

    Args:
        megabytes: the body of a request, MiB. megapixels: all images of a request together, as their headers declare.
        images: in a request. in_flight: requests that are being read or scored. seconds: until a body must have come.

    Cost: at worst megabytes x in_flight MiB of bodies; for each core, 2 x megabytes MiB more while one is unpacked, and
    an image of `megapixels`.
    """

    megabytes: int = 32
    megapixels: int = MEGAPIXEL_LIMIT
    images: int = 64
    in_flight: int = 64
    seconds: float = 30.0

    def __post_init__(self) -> None:
        low = [f"{each.name} = {getattr(self, each.name)}" for each in fields(self) if getattr(self, each.name) <= 0]
        if low:
            raise SettingError(f"limits must be above 0: got {', '.join(low)}.")
        if self.megapixels > MEGAPIXEL_LIMIT:
            raise SettingError(f"megapixels must be at most {MEGAPIXEL_LIMIT}: got {self.megapixels}.")


@dataclass(frozen=True)
class Unread:
    """An image that cannot be used, and why."""

    name: str
    reason: str


@final
class Refusal(Exception):  # noqa: N818 - it is no error of this program
    """A request that is not carried out: HTTP status, a reason for people, and the images it is about."""

    def __init__(self, status: int, reason: str, unread: Sequence[Unread] = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.unread = status, reason, tuple(unread)
