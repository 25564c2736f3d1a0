import pytest

from bbn_tf.training.lr_schedules import warmup_steps

PAPER = {"learning_rate": 0.1, "warmup_epochs": 5, "milestones": (120, 160), "factor": 0.01}


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 0.1 / 3), (1, 0.1 * (0.8 / 3 + 0.2)), (4, 0.1 * (0.2 / 3 + 0.8)), (5, 0.1), (119, 0.1), (120, 1e-3),
     (159, 1e-3), (160, 1e-5), (199, 1e-5)],
)  # fmt: skip
def test_papers_schedule_by_hand(epoch, expected):
    assert warmup_steps(epoch, **PAPER) == pytest.approx(expected)


def test_without_warmup_and_milestones():
    assert warmup_steps(0, learning_rate=0.05, warmup_epochs=0, milestones=(), factor=0.1) == 0.05
