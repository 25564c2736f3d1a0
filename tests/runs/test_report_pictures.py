"""What stands in the pictures, read off matplotlib's objects; every kind is also drawn to a file."""

import matplotlib
import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from PIL import Image

from bbn_tf.runs import pictures, report_pictures
from bbn_tf.runs.picture_kinds import KINDS

BINS = {"images": [0, 4, 6], "confidence": [None, 50.0, 90.0], "accuracy": [None, 25.0, 100.0]}


def metrics(error, alpha_errors=(60.0, 20.0, 40.0), norms=(1.0, 3.0)):
    return {
        "top1_error": error,
        "per_class_error": [error - 10, None],
        "class_counts": [4, 110],
        "class_names": ["a", "b"],
        "error_by_alpha": dict(zip(("0.0", "0.5", "1.0"), alpha_errors, strict=True)),
        "calibration_error": 10.0,
        "reliability": BINS,
        "classifier_norms": {"conventional": list(norms), "combined": [2.0, 2.0]},
    }


ROWS = {"CE": [metrics(30.0), metrics(34.0)], "BBN": [metrics(20.0)]}


def axes_of(kind, rows=ROWS, **options):
    figure = Figure()
    KINDS[kind](figure, rows, **options)
    return figure.axes[0]


def line(axes, label):
    return next(one for one in axes.lines if one.get_label().startswith(label))


OPTIONS = {"errors": {"paper": {"CE": 29.0, "BBN": None}}, "grid": {"across": ["CE", "RW"], "down": ["CE", "RS"]}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(kind, tmp_path):
    rows = {"CE + CE": ROWS["CE"], "RW + RS": ROWS["BBN"]} if kind == "grid" else ROWS
    report_pictures.save(kind, rows, tmp_path / "x.png", title="A title", **OPTIONS.get(kind, {}))
    pixels = np.asarray(Image.open(tmp_path / "x.png").convert("RGB"))
    assert pixels.shape[1] in (600, 900) and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_errors_have_mean_spread_and_the_papers():
    axes = axes_of("errors", **OPTIONS["errors"])
    mean, *_ = axes.lines
    np.testing.assert_allclose(mean.get_xydata(), [[32, 0], [20, 1]])
    (whiskers,) = axes.containers[0].lines[2]
    np.testing.assert_allclose(
        [segment[:, 0] for segment in whiskers.get_segments()], [[32 - 8**0.5, 32 + 8**0.5], [20, 20]]
    )
    np.testing.assert_allclose(line(axes, "the paper").get_xydata(), [[29, 0]])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["CE", "BBN"]


def test_error_by_class_head_to_tail():
    axes = axes_of("error_by_class")
    plain, bbn = (container for container in axes.containers if isinstance(container, BarContainer))
    assert [plain.get_label(), bbn.get_label()] == ["CE: 32.0 % overall", "BBN: 20.0 % overall"]
    np.testing.assert_allclose([bar.get_height() for bar in plain], [np.nan, 22])
    np.testing.assert_allclose([bar.get_x() for bar in [*plain, *bbn]], [-0.4, 0.6, 0, 1], atol=1e-12)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["b\n110", "a\n4"]
    assert [text.get_text() for text in axes.texts] == ["many", "few"]


def hundred(errors):
    """Metrics of 100 classes, the first of which has the fewest images, with an error each."""
    names = [f"class {i}" for i in range(100)]
    return {**metrics(50.0), "class_counts": [*range(1, 101)], "per_class_error": errors, "class_names": names}


def test_error_of_many_classes_is_smoothed():
    axes = axes_of("error_by_class", {"CE": [hundred([*range(100)])], "BBN": [hundred([7.0] * 100)]})
    dots, plain, _, bbn, separator = axes.lines
    np.testing.assert_allclose(dots.get_ydata(), np.arange(99, -1, -1))
    np.testing.assert_allclose(plain.get_ydata()[[0, 50, 99]], [96.5, 49, 2.5])  # means over 6, 11 and 6 classes
    np.testing.assert_allclose(bbn.get_ydata(), np.full(100, 7))
    np.testing.assert_allclose(separator.get_xdata(), [80.5, 80.5])  # 81 classes have 100 to 20 images
    assert [text.get_text() for text in axes.texts] == ["medium", "few"]
    assert axes.get_xlabel() == "class, head to tail (dots); lines are means over a tenth of the classes"


def test_classes_without_a_test_image_are_named():
    assert axes_of("error_by_class").get_xlabel().endswith("\nwithout a test image: 'b'")
    whole = {"CE": [{**metrics(30.0), "per_class_error": [20.0, 40.0]}]}
    assert "test image" not in axes_of("error_by_class", whole).get_xlabel()


NAMES = ["Ba$$in", "a,\"b\"'c'"]  # and \n, which tick labels have anyway


def test_names_are_drawn_as_they_are(tmp_path, monkeypatch):
    """As mathematics the first can't be drawn at all, and what stands between two $ would lose them."""
    seen = []
    kind = report_pictures.KINDS["error_by_class"]
    monkeypatch.setitem(report_pictures.KINDS, "error_by_class", lambda f, rows: (seen.append(f), kind(f, rows)))
    rows = {"$x$ and $y$": [{**metrics(30.0), "class_names": NAMES}]}
    report_pictures.save("error_by_class", rows, tmp_path / "x.png", title="of $z$")
    texts = [text for text in seen[0].findobj(matplotlib.text.Text) if "$" in text.get_text()]
    assert {text.get_text().split(":")[0] for text in texts} == {"$x$ and $y$", "of $z$", "Ba$$in\n4"}
    assert not any(text.get_parse_math() for text in texts)
    assert matplotlib.rcParams["text.parse_math"]  # somebody's own pictures are left alone


def test_norms_of_both_classifiers_with_their_deviation():
    axes = axes_of("norms")
    np.testing.assert_allclose(line(axes, "BBN, W_c (conventional): σ = 1.000").get_ydata(), [3, 1])
    assert line(axes, "CE, both, one below the other: σ = 0.000")
    assert len(axes.lines) == 4


def test_error_by_alpha():
    axes = axes_of("error_by_alpha")
    np.testing.assert_allclose(line(axes, "BBN").get_xydata(), [[0, 60], [0.5, 20], [1, 40]])
    np.testing.assert_allclose(line(axes, "alpha at inference").get_xdata(), [0.5, 0.5])


def test_reliability_pools_the_seeds():
    other = {
        **metrics(1.0),
        "reliability": {"images": [0, 12, 0], "confidence": [None, 58.0, None], "accuracy": [None, 45.0, None]},
    }
    axes = axes_of("reliability", {"CE": [metrics(1.0), other]})
    # The second bin: 4 images of 50 % and 12 of 58 %, accuracies 25 and 45.
    np.testing.assert_allclose(line(axes, "CE: ECE 10.0 %").get_xydata(), [[56, 40], [90, 100]])


def test_grid_shows_means_and_leaves_empty_cells():
    axes = axes_of("grid", {"CE + CE": ROWS["CE"], "RW + RS": ROWS["BBN"]}, **OPTIONS["grid"])
    np.testing.assert_allclose(np.ma.filled(axes.images[0].get_array(), np.nan), [[32, np.nan], [np.nan, 20]])
    assert {text.get_text() for text in axes.texts} == {"32.0", "20.0"}


def test_colours_are_distinct():
    assert len({colour for colour, _ in pictures.LINES}) == len({marker for _, marker in pictures.LINES}) == 8
