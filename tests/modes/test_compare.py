import pytest

from bbn_tf.modes import compare
from tests.runs.test_tables import METRICS


def test_compare_trains_both_with_the_same_settings(make_config, capsys, monkeypatch):
    config, seen = make_config(mode="compare", adaptor="equal"), []

    def train_and_evaluate(one):
        seen.append(one)
        return METRICS[one.model]

    monkeypatch.setattr(compare, "train_and_evaluate", train_and_evaluate)
    rows = compare.run(config)
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
