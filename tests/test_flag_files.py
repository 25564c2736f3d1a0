import os
import pathlib

import pytest

from bbn_tf import flag_files
from bbn_tf.errors import UserError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Function (name, content) that writes a file into the working directory, which is also the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return lambda name, content: (tmp_path / name).write_bytes(content.encode("utf-8"))


def test_lines_stand_in_the_files_place(write):
    write("b.flags", "--seed=2\n--nonesterov\n")
    write("a.flags", "# a comment\n\n  // another\n --epochs=1 \n--flagfile=b.flags\n--model=plain")
    arguments = ["--epochs=9", "--flagfile=a.flags", "--seed=3", "-flagfile", "b.flags", "x"]
    assert flag_files.expand(arguments) == [
        *("--epochs=9", "--epochs=1", "--seed=2", "--nonesterov", "--model=plain", "--seed=3"),
        *("--seed=2", "--nonesterov", "x"),
    ]


def test_byte_order_mark_windows_line_ends_and_the_home_folder(write):
    write("a.flags", "\ufeff--seed=2\r\n# ä\r\n--data_dir=Fotos/Äpfel \u2028x\r\n")
    assert flag_files.expand(["--flagfile=~/a.flags"]) == ["--seed=2", "--data_dir=Fotos/Äpfel \u2028x"]


def test_nothing_is_read_behind_two_dashes(write):
    assert flag_files.expand(["--a", "--", "--flagfile=none"]) == ["--a", "--", "--flagfile=none"]


@pytest.mark.parametrize("line", ["--epochs=3 # short", "--model_dir=x\t// mine", "--nonesterov # no", "--seed 3 #"])
def test_a_comment_behind_a_value_is_refused_with_its_line(write, line):
    write("a.flags", f"# first\n\n{line}\n")
    with pytest.raises(UserError) as error:
        flag_files.expand(["--flagfile=a.flags"])
    assert str(error.value).startswith(f"a.flags, line 3: {line}: a comment must stand on a line of its own")


def test_a_path_may_look_like_a_comment(write, tmp_path):
    os.makedirs(tmp_path / "photos #1")
    lines = ["--data_dir=photos #1", "--data_dir=~/photos #1", "--data_dir=a#b", "--data_dir=https://x"]
    write("a.flags", "\n".join(lines))
    assert flag_files.expand(["--flagfile=a.flags"]) == lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--flagfile=none.flags"], r"^--flagfile=none.flags: can't be read \(No such file or directory\)$"),
        (["--flagfile=."], r"^--flagfile=.: can't be read \(Is a directory\)$"),
        (["--flagfile=latin.flags"], r"^--flagfile=latin.flags: holds bytes that are not UTF-8 text"),
        (["--flagfile=loop.flags"], r"^--flagfile=loop.flags: includes itself$"),
        (["--flagfile"], r"^--flagfile: must name a file$"),
        (["--flagfile="], r"^--flagfile: must name a file$"),
    ],
)
def test_files_that_cannot_be_read(write, tmp_path, arguments, message):
    (tmp_path / "latin.flags").write_bytes(b"--data_dir=\xe4\n")
    write("other.flags", "--flagfile=loop.flags\n")
    write("loop.flags", "--seed=1\n--flagfile=other.flags\n")
    with pytest.raises(UserError, match=message):
        flag_files.expand(arguments)


def test_relative_paths_are_looked_for_here_then_beside_the_file_then_in_the_project(write, tmp_path):
    (tmp_path / "mine").mkdir()
    for place in ("photos", "mine/photos", "mine/more"):
        (tmp_path / place).mkdir(exist_ok=True)
    write("mine/b.flags", "--seed=2")
    lines = ("--flagfile=b.flags", "--data_dir=photos", "--images=more", "--init_from=none", "--model_dir=more")
    write("mine/a.flags", "\n".join(lines) + "\n--flagfile=flags/cifar10_lt.flags\n")
    expanded = flag_files.expand(["--flagfile=mine/a.flags"], {"data_dir", "images", "init_from"})
    paths = ["--data_dir=photos", "--images=mine/more", "--init_from=none", "--model_dir=more"]
    assert expanded == ["--seed=2", *paths, "--dataset=cifar10_lt", "--imbalance_factor=50"]


def test_the_projects_own_files_are_found_by_name(write, tmp_path):
    own = pathlib.Path(__file__).parents[1] / "flags"
    for name in ("bbn.flags", "flags/bbn.flags"):
        assert flag_files.found(name) == str(own / "bbn.flags")
    for name in ("table1.toml", "plans/table1.toml", "flags/plans/table1.toml"):
        assert flag_files.found(name) == str(own / "plans" / "table1.toml")
    assert flag_files.expand(["--flagfile=cifar10_lt.flags"]) == ["--dataset=cifar10_lt", "--imbalance_factor=50"]
    write("cifar10_lt.flags", "--seed=1")  # one's own comes first
    assert flag_files.expand(["--flagfile=cifar10_lt.flags"]) == ["--seed=1"]
    for unknown in ("none.flags", "plans", ".", "", str(tmp_path / "bbn.flags")):
        assert flag_files.found(unknown) == unknown
