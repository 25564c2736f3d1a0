import pytest

from bbn_tf.modes import compare
from tests.in_process import parse
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
    assert "18.00" in out and "24.00" in out and "error_by_class.png" in out and "plain (cross-entropy)" in out


METHODS = {
    "cross-entropy": ["bbn", "bbn_finetune", "bbn_inaturalist", "ce", "ce_inaturalist", "quickstart"],
    "others": ["balanced_softmax", "cb_focal", "ce_drs", "ce_drw", "finetune", "focal", "ldam_drw", "logit_adjusted",
               "manifold_mixup", "manifold_mixup_two_samplers", "mixup", "rs", "rw"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "method"), [(kind, method) for kind, names in METHODS.items() for method in names])
def test_compare_goes_with_every_method(kind, method):
    """BBN's run drops what only the plain network has; what is not cross-entropy is not called so."""
    config = parse("--mode=compare", f"--flagfile=flags/{method}.flags", "--dataset=digits_lt", "--model_dir=x")
    bbn, plain = (config.with_model(name, name) for name in ("bbn", "plain"))
    assert (bbn.model, bbn.sampler, bbn.loss, plain.model) == ("bbn", "reversed", "ce", "plain")
    assert compare._label("plain", plain) == ("plain (cross-entropy)" if kind == "cross-entropy" else "plain")


@pytest.mark.parametrize("setting", ["adaptor", "sampler", "feature_convention"])
def test_compare_keeps_what_was_chosen_for_bbn(make_config, setting):
    """A setting that only BBN has, or means something else to, must not be dropped on the way."""
    chosen = {"adaptor": "equal", "sampler": "balanced", "feature_convention": "paper"}
    config = make_config(mode="compare", **chosen)
    assert getattr(config.with_model("bbn", "x"), setting) == chosen[setting]
    assert config.with_model("plain", "y").sampler == "uniform"
