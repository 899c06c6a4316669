"""Image sets: opened from anywhere, surveyed, decoded once, compared; and the one door to labels."""

from feint.data.decoding import Decoded, decode, stream
from feint.data.duplicates import groups_of_duplicates, near_duplicates
from feint.data.images import ImageSet
from feint.data.preprocessing import plan_preprocessing, preprocess
from feint.data.reading import UnreadableImageError
from feint.data.sources import open_images
from feint.data.survey import Survey, survey

__all__ = [
    "Decoded",
    "ImageSet",
    "Survey",
    "UnreadableImageError",
    "decode",
    "groups_of_duplicates",
    "near_duplicates",
    "open_images",
    "plan_preprocessing",
    "preprocess",
    "stream",
    "survey",
]
