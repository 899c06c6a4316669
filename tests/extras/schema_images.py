"""Hooks for schemathesis: where the OpenAPI document of the service says bytes, it sends little images."""

import base64
import io

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

schemathesis = pytest.importorskip("schemathesis")


def _png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)).save(file, "PNG")
    return file.getvalue()


IMAGES = st.integers(0, 20).map(_png)
schemathesis.openapi.format("byte", IMAGES.map(lambda data: base64.b64encode(data).decode()))
schemathesis.openapi.format("binary", IMAGES)
