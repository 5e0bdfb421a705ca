"""Every command that a page, a report, a message, a workflow or --help prints can be typed: each is planned.

What prints in code is read as text: a part that is filled in when it is printed stands as STUDY.
"""

import ast
import configparser
import itertools
import re
import shlex
from pathlib import Path

import pytest

from fairtrial.cli import commands, gate_options, study_commands
from fairtrial.cli.main import main
from fairtrial.cli.parser import parser
from fairtrial.errors import DONE, Fault
from fairtrial.regression.gate import Outcome
from fairtrial.reporting.report.figure_registry import report_items
from fairtrial.reporting.report_item import STUDY
from fairtrial.study.data_spec import parse as parse_data
from fairtrial.study.loader import find, load
from fairtrial.weights.official_files import OFFICIAL

ROOT = Path(__file__).parents[1]
KNOWN = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
PAGES = ("README.md", "docs/**/*.md", "results/README.md", "results/**/report.md", ".github/workflows/*.yml")
CODE = ("src/**/*.py", "ablations/*.py", "analysis/*.py")
START = rf"(?:(?:python -m )?fairtrial (?:{'|'.join(KNOWN)})\b|tox (?:-q )?(?:run )?-e [\w,-]+)"
# a command ends where its line, quotes or sentence ends
COMMAND = re.compile(
    rf"(?<![\w/-]){START}(?:(?! {{2,}}|[`\n#;()|>&…]|[,.:]\s|[.,:]$| \.\.\.|\\n).)*", re.MULTILINE
)
# in the source of a program, where a command may go on in the next string; most have none, and each worker
# of pytest-xdist reads them all
MAY_PRINT = re.compile(r"""(?:fairtrial|tox)(?:[ \t\\"'{]|$)(?! *import\b)""", re.MULTILINE)
RECORDS = {"fairtrial gate night", "fairtrial gate baseline"}  # kinds of files, no commands
FILLED = {
    "STUDY": "norm",
    "NAME": "BiT-M-R50x1",
    "DIR": "data",
    "COMMIT": "HEAD",
    "FILE": "file.md",
    "SPEC": "digits",
}
OF_COMMAND = {"fetch": "BiT-M-R50x1", "probe": "signal", "init": "other"}  # what is filled in behind these


def texts(path):
    """The text of a page; the strings of a program, with STUDY for what is filled in."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":  # a command in a sentence goes on in the next line
        # the number of a task, as a batch system counts it
        text = re.sub(r"\\\n *", "", text)
        text = re.sub(r"\$\(\([^)]*\)\)|\$\{\{[^}]*\}\}|\$[A-Z_]+", "1", text)
        return [re.sub(r"`([^`\n]+)\n *([^`\n]+)`", r"`\1 \2`", text)]
    if path.suffix == ".yml":
        return [text.replace('"$(date -u +%Y%m%d)"', "7").replace("$BASE", "--since 24h")]
    if path.name == "tox.ini":  # its commands: below, by the name of their environment
        return re.findall(r"^description = (.*)", text, re.MULTILINE)
    if path.suffix != ".py":
        return [text]
    if not MAY_PRINT.search(text):
        return []
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.JoinedStr, ast.Constant))]
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    return [
        "".join(part.value if isinstance(part, ast.Constant) else "STUDY" for part in node.values)
        if isinstance(node, ast.JoinedStr)
        else node.value
        for node in nodes
        if isinstance(node, ast.JoinedStr) or (isinstance(node.value, str) and id(node) not in parts)
    ]


def docstrings(path):
    """The docstrings of a program."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, owners))
    return {ast.get_docstring(node, clean=False) for node in nodes}


def printed():
    """Each command with the first file that prints it."""
    found = {}
    for pattern in (*PAGES, *CODE, "tox.ini"):
        for path in sorted(ROOT.glob(pattern)):
            for text in texts(path):
                for match in COMMAND.finditer(text):
                    command = re.sub(r"\{(file|name)\}", "my_study.py", match[0]).rstrip(" .,:'\"")
                    command += '"' * (command.count('"') % 2)
                    # in a sentence a command alone is its name: "`fairtrial repair` moves ..."
                    named = len(command.split()) == 2 and (path.suffix == ".md" or text in docstrings(path))
                    if command not in RECORDS and not named:
                        found.setdefault(command, path.relative_to(ROOT).as_posix())
    return [pytest.param(command, id=f"{where}: {command}") for command, where in found.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a study file and a folder for data; no command is run, so all tests share it."""
    made = tmp_path_factory.mktemp("printed")
    (made / "data").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(made)
        assert main(["init", "my-study"]) == DONE
    return made


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    """That folder, and a gate that only reads its options."""
    monkeypatch.chdir(folder)
    for name in ("gate", "save"):
        monkeypatch.setattr(gate_options, name, lambda *_: Outcome({}, [], DONE))


@pytest.mark.parametrize("command", printed())
def test_a_printed_command_can_be_typed(command):
    try:
        plan(command)
    except Fault as error:
        pytest.fail(f"{command}\n{error.block()}")


def plan(command):
    """Read a command as the program does, and plan what it asks for; a Fault where it is refused."""
    if command.startswith("tox"):
        for each in of_tox(command):
            plan(each)
        return
    words = shlex.split(command.removeprefix("python -m "))[1:]
    filled = FILLED | ({"STUDY": OF_COMMAND[words[0]]} if words[0] in OF_COMMAND else {})
    filled |= {"NAME": "mini"} if "--preset" in words else {}
    words = ["data" if word.startswith("/tmp/") else filled.get(word, word) for word in words]
    words = [re.sub(r"(parquet|folder):(DIR|ARCHIVE)", r"\1:data", word) for word in words]
    words = [re.sub(r"^cuda.*", "cpu", word) for word in words]  # where there is a GPU, or not
    given = parser().parse_args(words)
    if given.command in ("plan", "run", "tune", "status"):
        study, _ = study_commands._asked(load(find(given.study)), given)
        assert study.cells() or study.tuning
    elif given.command in ("report", "verdict", "replay", "repair") and given.study:
        study_commands.recorded(load(find(given.study)), given)
    elif given.command == "verify":
        commands._reports(given)
    elif given.command == "gate" and not given.history:
        gate_options.answer(given)
    elif given.command == "fetch":
        assert given.name is None or given.name in OFFICIAL
    elif given.command == "doctor" and given.data:
        parse_data(given.data)


def of_tox(command):
    """The commands of `fairtrial` that `tox -e NAME,NAME -- WORDS` runs; unknown environments fail."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini")
    sections = {name: config[section] for section in config.sections() for name in expanded(section)}
    words = shlex.split(command)
    given = shlex.join(words[words.index("--") + 1 :]) if "--" in words else None
    for name in words[words.index("-e") + 1].split(","):
        assert name in sections, f"tox.ini has no environment {name}"
        for line in sections[name]["commands"].splitlines():
            factor, _, rest = line.partition(": ")
            if rest and factor not in name.split("-"):
                continue
            filled = re.sub(
                r"\{posargs:?(.*?)\}", lambda found: found[1] if given is None else given, rest or line
            )
            filled = filled.replace("{env_tmp_dir}", "data")
            # an environment that runs a study of the user's choice names none by itself
            if filled.startswith("fairtrial") and filled.strip() not in (
                "fairtrial run",
                "fairtrial verdict",
            ):
                yield filled


def expanded(section):
    """'testenv:ablate-{norm,batch}' -> ablate-norm, ablate-batch."""
    parts = [part.split(",") for part in re.split(r"[{}]", section.removeprefix("testenv:"))]
    return {"".join(choice) for choice in itertools.product(*parts)}


def environments():
    """The names of tox.ini."""
    sections = re.findall(r"^\[(testenv:.*)\]$", (ROOT / "tox.ini").read_text(), re.MULTILINE)
    return sorted(name for section in sections for name in expanded(section))


@pytest.mark.parametrize("name", environments())
def test_what_an_environment_of_tox_runs_can_be_typed(name):
    plan(f"tox -e {name}")


@pytest.mark.parametrize(
    "command",
    [
        "fairtrial run shots --preset bit --set upstream=BiT-M-R50x1,BiT-M-R50x3",
        "fairtrial run ladder --preset bit",
        "fairtrial run norm --set nrm=bn",
        "fairtrial plan --calibrate",
        "fairtrial gate --stored --aa",
        "tox -e ablate-norm -- --budgt 4000ex",
    ],
)
def test_a_command_that_does_not_work_is_found(command):
    """So that the test above can fail."""
    with pytest.raises((Fault, AssertionError, pytest.fail.Exception)):
        plan(command)


def test_no_page_prints_levels_without_their_command():
    """They went untried: of weights.md those of a file were refused by every study that ships."""
    pages = [path for pattern in ("README.md", "docs/**/*.md") for path in sorted(ROOT.glob(pattern))]
    alone = [found for path in pages for found in re.findall("`--set [^`]+=[^`]+`", path.read_text())]
    assert alone == []
    words = ["--set", "upstream=file:birds.pth"]
    assert any(param.values[0].split()[-4:-2] == words for param in printed())


def filled(item):
    """The studies that the commands of an exhibit make."""
    found = [match[0].rstrip(" .,:;") for match in COMMAND.finditer(item.fill)]
    for words in (
        shlex.split(command.replace("DIR", "data").replace("cuda", "cpu"))[1:] for command in found
    ):
        if words[0] in ("run", "tune"):
            given = parser().parse_args(words)
            yield study_commands._asked(load(find(given.study)), given)[0]


EXHIBITS = [name for name, (_, row) in report_items().items() if row is None or row.source == STUDY]


@pytest.mark.parametrize("name", EXHIBITS)
def test_the_command_of_an_exhibit_makes_cells_that_it_is_drawn_from(name):
    """Of the 13 that nothing could draw once, all but one say it: F5.4 would take a detector that trains."""
    item, row = report_items()[name]
    studies = list(filled(item))
    if row is None:
        assert (name, studies) == ("F5.4", [])
        return
    made = studies[-1:] if name in ("F1.3", "FE.2") else studies  # the others pre-train
    assert made and all(row.fits(study) and item.cells.fits(study) for study in made)


def test_official_weights_bring_their_network():
    words = ["run", "shots", "--preset", "bit", "--set", "upstream=BiT-M-R50x3"]
    study, _ = study_commands._asked(load(find("shots")), parser().parse_args(words))
    assert {cell.settings.model for cell in study.cells()} == {"r50x3"}


def test_commands_are_found_on_pages_and_in_messages():
    found = {param.values[0] for param in printed()}
    assert len(found) > 100
    assert {"fairtrial repair STUDY", "fairtrial run my_study.py", "tox -e ablate-norm"} <= found
