"""What parts cost: each part there is is measured, and memory is what tensors hold."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.family.cost import Job, encoders, fuses, heads, measured, peak
from benchmarks.family.cost_plot import cost_plot
from benchmarks.family.sized import SIZES

import harken.models.fusion.fuse
import harken.models.fusion.heads
from harken.models.fusion import parts


@pytest.mark.slow
def test_every_part_of_every_size_is_measured():
    jobs = [*encoders(2), *fuses(2), *heads(2)]
    there = {(f"{m} encoder", name) for m, (room, _) in parts.ENCODERS.items() for name in parts.names_in(room)}
    there |= {("joining", name) for name in parts.names_in(harken.models.fusion.fuse)}
    there |= {("head", name) for name in parts.names_in(harken.models.fusion.heads)}
    assert {(job.room, job.part) for job in jobs} == there
    assert len(jobs) == len(there) * len(SIZES)
    weights = {(job.room, job.part, job.size): sum(p.numel() for p in job.module.parameters()) for job in jobs}
    for room, part in there:
        small, medium, large = (weights[room, part, size] for size in SIZES)
        assert small <= medium <= large
    rows = [measured(job, 1) for job in jobs]
    assert all(row["ms"] > 0 and row["MiB"] > 0 for row in rows)
    assert cost_plot(rows, 2).count("log_mel_cnn") >= 1


def test_the_peak_is_what_tensors_hold():
    layer, given = nn.Linear(1000, 1000, bias=False), torch.ones(1, 1000)
    found = peak(Job("head", "linear", "small", layer, lambda: layer(given).sum()))
    # The gradient of a million weights, and little besides.
    assert 4_000_000 <= found < 4_200_000
