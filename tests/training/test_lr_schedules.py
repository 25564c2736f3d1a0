"""Schedules by hand."""

import math

import pytest

from bbn_tf.config import Config
from bbn_tf.modes import build


def rates(epochs, **settings):
    rate = build.learning_rate(Config(epochs=200, **settings))
    return [rate(epoch) for epoch in epochs]


def test_published_warmup_and_steps():
    seen = rates([0, 1, 4, 5, 119, 120, 159, 160, 199])
    warm = [0.1 * ((1 - e / 5) / 3 + e / 5) for e in (0, 1, 4)]
    assert seen == pytest.approx([*warm, 0.1, 0.1, 1e-3, 1e-3, 1e-5, 1e-5])


def test_warmup_of_other_codes():
    """LDAM's: rate * (e + 1) / 5 for e < 5 is 4 epochs from a fifth."""
    seen = rates(range(6), warmup_epochs=4, warmup_start=0.2)
    assert seen == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])


def test_cosine_after_the_warmup():
    seen = rates([0, 4, 5, 102.5, 199], lr_schedule="cosine")
    first = 0.1 / 3
    assert seen == pytest.approx([first, 0.1 * (0.2 / 3 + 0.8), 0.1, 0.05, 0.05 * (1 + math.cos(math.pi * 194 / 195))])
    assert rates([200], lr_schedule="cosine") == pytest.approx([0], abs=1e-12)


def test_without_warmup():
    assert rates([0], warmup_epochs=0, lr_milestones=()) == [0.1]
