import numpy as np
import pytest
from PIL import Image

from bbn_tf import report

METRICS = {
    "bbn": {"top1_error": 18.0, "many_error": 6.5, "medium_error": None, "few_error": 28.25, "conventional_error": 30.0,
            "rebalancing_error": 70.0, "per_class_error": [6.5, 29.5], "class_counts": [110, 4],
            "class_names": ["zero", "one"]},
    "plain": {"top1_error": 24.0, "many_error": 0.0, "medium_error": None, "few_error": 48.0,
              "per_class_error": [0.0, None], "class_counts": [110, 4], "class_names": ["zero", "one"]},
}  # fmt: skip


def test_table_by_hand():
    lines = report.table({report.LABELS[model]: metrics for model, metrics in METRICS.items()}).splitlines()
    assert lines[0].split() == ["all", "many", "medium", "few", "conventional", "rebalancing"]
    assert lines[1].split() == ["BBN", "18.00", "6.50", "28.25", "30.00", "70.00"]
    assert lines[2].split() == ["plain", "(cross-entropy)", "24.00", "0.00", "48.00"]
    # Figures stand under their titles, empty ones leave their place.
    assert lines[1].index("28.25") + 5 == lines[2].index("48.00") + 5 == lines[0].index("few") + 3


def test_picture_has_both_curves(tmp_path):
    path = tmp_path / "error.png"
    report.draw_error_by_class(METRICS, path)
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    for colour, _ in report.STYLE.values():
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.sum(np.all(abs(pixels - wanted) < 8, axis=1)) > 50


def test_compare_trains_both_with_the_same_settings(make_config, capsys):
    config, seen = make_config(mode="compare", adaptor="equal"), []

    def train_and_evaluate(one):
        seen.append(one)
        return METRICS[one.model]

    rows = report.compare(config, train_and_evaluate)
    assert rows == METRICS
    different = ("model", "sampler", "adaptor", "feature_convention")
    first, second = ({k: v for k, v in c.settings().items() if k not in different} for c in seen)
    assert first == second
    assert {c.model_dir for c in seen} == {f"{config.model_dir}/bbn", f"{config.model_dir}/plain"}
    out = capsys.readouterr().out
    assert "18.00" in out and "24.00" in out and "error_by_class.png" in out


@pytest.mark.parametrize("setting", ["adaptor", "sampler", "feature_convention"])
def test_compare_keeps_what_was_chosen_for_bbn(make_config, setting):
    """A setting that only BBN has, or means something else to, must not be dropped on the way."""
    chosen = {"adaptor": "equal", "sampler": "balanced", "feature_convention": "paper"}
    config = make_config(mode="compare", **chosen)
    assert getattr(config.with_model("bbn", "x"), setting) == chosen[setting]
    assert config.with_model("plain", "y").sampler == "uniform"
