"""One thread: these tests are small, and the bits of a run depend on the number of threads."""

import gc
import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
# Libraries that compute take a thread for each core, and wait for each other where several tests run at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
# As `harken` does: what libraries made while they loaded is looked through less often.
gc.set_threshold(10_000)
# How long a test takes says something of the machine, and nothing of what is tested.
# What fails by a lot fails for everybody: lots are the same each time. `--hypothesis-profile explore` draws others.
hypothesis.settings.register_profile("harken", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("harken")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    yield
