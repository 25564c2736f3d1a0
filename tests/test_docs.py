"""README and docs: commands that can be given, links that lead somewhere, figures that stand in a file."""

import pathlib
import re
import shlex

import pytest

from tests import in_process

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(page, *languages):
    """Contents of a page's fenced blocks in these languages."""
    return [text for language, text in FENCE.findall(page.read_text("utf-8")) if language in languages]


def commands(page):
    """Command lines of a page's shell blocks: continued lines joined, comments left out."""
    text = re.sub(r"(<<'END')\n.*?^END\n", r"\1\n", "".join(blocks(page, "sh", "bash")), flags=re.M | re.S)
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.split("   #")[0].split()) for line in lines if line.strip() and not line.startswith("#")]


def of_main(command):
    """Arguments of a command that starts main.py, else None; what another program gets is not looked at."""
    words = shlex.split(command.split("&& ")[-1])
    place = next((i for i, word in enumerate(words[:4]) if word.endswith("main.py")), None)
    return None if place is None else words[place + 1 :]


OF_MAIN = sorted({command for page in PAGES for command in commands(page) if of_main(command) is not None})
DATA = ["--dataset=folder", "--data_dir=photos"]  # what stands for DATA in docs/data.md
RUN = re.compile(r"saved_models/(?:RUN|BBN_RUN|photos)(?:/export/1)?(?=/flags.txt$|$)")


@pytest.mark.parametrize("command", OF_MAIN)
def test_every_command_of_the_program_is_accepted(command, monkeypatch):
    """Flags, flag files and settings that have no meaning together; a run of the fixtures stands for every run."""
    monkeypatch.chdir(ROOT)
    words = [word for given in of_main(command) for word in (DATA if given == "DATA" else [given]) if word != "..."]
    if any("--coordinator" in word for word in words):
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    in_process.parse(*(RUN.sub("tests/fixtures/bbn_finished", word) for word in words))


def test_it_is_known_of_every_command_who_runs_it():
    """tests/commands.txt: a test, .ci/run, somebody by hand, or nobody so far, and why."""
    lines = (ROOT / "tests" / "commands.txt").read_text("utf-8").splitlines()
    known = dict(line.split(" | ", 1)[::-1] for line in lines if line and not line.startswith("#"))
    assert known.keys() == {command for page in PAGES for command in commands(page)}
    for how in known.values():
        if how.startswith("tests/"):
            file, _, test = how.partition("::")
            assert f"\ndef {test}(" in (ROOT / file).read_text("utf-8"), how
        else:
            assert how.split(":")[0] in (".ci/run", "by hand", "not run"), how


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if not re.match(r"https?:|mailto:", link):
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def anchors(page):
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 200
    assert all(len(line) <= 110 for line in lines if not line.startswith("python3 -m venv"))


def test_the_readmes_python_is_that_of_the_page_which_is_run():
    """`tests/api/test_docs.py` runs the page's lines, with a smaller network and fewer epochs."""
    (readme, _), page = blocks(PAGES[0], "python"), blocks(ROOT / "docs" / "python.md", "python")[0]
    smaller = readme.replace("resnet32", "resnet8").replace("batch_size=128", "batch_size=32")
    lines = [line.split("  #")[0] for line in smaller.replace("epochs=200", "epochs=2").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "callbacks"))]
    assert len(lines) == 8
    for line in lines:
        assert line in page, line
