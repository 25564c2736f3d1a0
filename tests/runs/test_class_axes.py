import numpy as np
import pytest
from matplotlib.figure import Figure

from bbn_tf.runs import class_axes, pictures
from bbn_tf.runs.class_axes import smoothed


def test_smoothing_leaves_out_what_is_unknown():
    values = np.full((2, 40), np.nan)  # of 40 classes two on each side count
    values[0, [0, 2, 39]] = 2, 4, 9
    np.testing.assert_allclose(smoothed(values)[0, :6], [3, 3, 3, 4, 4, np.nan])
    np.testing.assert_allclose(smoothed(values)[0, -3:], 9)
    assert np.isnan(smoothed(values)[1]).all()


@pytest.mark.parametrize(("classes", "rows", "bars"), [(30, 3, 3), (31, 1, 0), (30, 4, 0)])
def test_few_classes_of_few_rows_are_bars(classes, rows, bars):
    axes = Figure().subplots()
    class_axes.draw(axes, {str(row): np.ones((2, classes)) for row in range(rows)}, np.arange(classes))
    assert len(axes.patches) == bars * classes and len(axes.containers[:bars]) == bars


def test_groups_are_named_where_they_are():
    axes = Figure().subplots()
    axes.set_ylim(0, 100)
    class_axes.mark_groups(axes, [5, 300, 101, 100, 20])
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [
        ("many", 0.5),
        ("medium", 2.5),
        ("few", 4),
    ]
    assert [line.get_xdata()[0] for line in axes.lines] == [1.5, 3.5] and axes.get_ylim() == (0, 110)


@pytest.mark.parametrize(
    ("values", "scale", "shown"),
    [
        ([60, 600], "log", {"50", "100", "200", "500"}),
        ([1, 5000], "log", {"1", "10", "100", "1,000"}),
        ([55, 65], "linear", {"60"}),
    ],
)
def test_numbers_are_plain(values, scale, shown):
    figure = Figure()
    axes = figure.subplots()
    class_axes.plain_numbers(axes, values)
    figure.canvas.draw()
    assert axes.get_yscale() == scale
    assert shown <= {text.get_text() for text in axes.get_yticklabels()}
    assert not any(text.get_text() for text in axes.get_yticklabels(minor=True))


def test_upright_names_have_their_numbers_behind_them():
    axis = Figure().subplots().xaxis
    pictures.class_axis(axis, ["abcdefghi"] * 10, range(10), range(10))
    assert [text.get_text() for text in axis.get_ticklabels()][3] == "abcdefghi  3"
    assert axis.get_ticklabels()[3].get_rotation() == 90
