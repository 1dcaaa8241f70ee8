"""What the tests of this room share; that this file is here also lets them import `tiny_media`."""

from pathlib import Path

import pytest

from harken.data.blobs import Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")
