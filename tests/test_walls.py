"""The walls of the house (DESIGN.md, section 3), read from the imports and calls of every file.

A new file of the library adds its row to TORCH_FREE or TORCH.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
ROOMS = ("ablations", "bench", "analysis")

TORCH_FREE = {  # job, doctor and gate.machine import torch when they are called
    "__init__", "__main__", "arguments", "arm_checks", "backbone_names", "books", "budget", "cache",
    "checks", "claims", "cli", "contrast", "crew", "doctor", "errors", "factors", "files", "forecast",
    "gate", "gate.*", "job", "kernels", "kernels.build", "lock", "options", "origin", "places", "plan",
    "presets", "probes", "probes.record", "progress", "published", "recipe", "record", "rooms", "runner",
    "seeds", "selftest", "selftest.*", "sizing", "space", "starts", "status", "stop", "stopping", "store",
    "study", "study_file", "trials", "trust", "tune", "tuned", "data", "data.specs", "stats", "stats.*",
}  # fmt: skip
NETWORKS = ("fairtrial.models.resnet", "fairtrial.models.blocks")
TORCH = {
    "assembly", "augment", "backbones", "calibration", "data.*", "detector", "device", "flops", "kernels.*",
    "layers", "layers.*", "networks", "optimizer", "precision", "probes.*", "replay", "resnetv2", "train",
    "transfer", "trial", "units", "upstream", "weights", "weights.*",
}  # fmt: skip

# A library that is heavy to load or that one file owns -> the files that may import it, at any depth.
OWNERS = {
    "optuna": ("fairtrial.tuning.tune",),
    "matplotlib": ("analysis.*",),
    "sklearn": ("fairtrial.data.*",),
    "pyarrow": ("fairtrial.data.*",),
    "rich": ("fairtrial.execution.progress",),
    "jinja2": ("analysis.*",),
    "triton": ("fairtrial.layers.*",),
}
# Who may create, overwrite or rename files; everybody else goes through files.publish.
WRITERS = {
    "fairtrial.storage.atomic": "the owner",
    "fairtrial.data.archive": "unpacked archives and downloads, which are no results",
    "fairtrial.data.decoded_cache": "decoded images, which no result depends on",
    "fairtrial.storage.lock": "the lock file, which holds nothing but its holder",
    "fairtrial.storage.store": "moves damaged records aside",
    "fairtrial.weights.*": "weights and downloads, which are no results",
}
WRITES = {
    "write_text",
    "write_bytes",
    "touch",
    "rename",
    "symlink_to",
    "hardlink_to",
    "savefig",
    "to_csv",
    "savez",
}
OS_WRITES = {"replace", "link", "rename", "symlink", "truncate", "open"}
PICKLES = ("pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib")


def matches(name, patterns):
    return any(name == each or (each.endswith(".*") and name.startswith(each[:-1])) for each in patterns)


@cache
def files():
    """Module name -> path, of the library and of the rooms."""
    found = {}
    for folder in (SRC, *(ROOT / room for room in ROOMS)):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(SRC if folder == SRC else ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name):
    return ast.parse(files()[name].read_text(encoding="utf-8"))


@cache
def imports(name, *, anywhere):
    """The modules a file imports, when it is loaded or anywhere in it; blocks for type checkers left out."""
    return frozenset(_imports(tree(name).body, anywhere))


def _imports(body, anywhere):
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, anywhere)
        elif anywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _imports(ast.iter_child_nodes(node), anywhere)


def loaded(name):
    """Every module that comes with a file when it is loaded, the files of this house followed."""
    seen, left = set(), [name]
    while left:
        for found in imports(left.pop(), anywhere=False):
            parts = found.split(".")
            for module in (".".join(parts[: i + 1]) for i in range(len(parts))):
                if module not in seen:
                    seen.add(module)
                    if module in files():
                        left.append(module)
    return seen


def tops(modules):
    return {module.partition(".")[0] for module in modules}


def calls(name):
    return [node for node in ast.walk(tree(name)) if isinstance(node, ast.Call)]


def called(call):
    """'open' of open(...), 'os.replace' of os.replace(...), '.write_text' of anything.write_text(...)."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
        return f"{owner}.{call.func.attr}"
    return ""


def keyword(call, name):
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


LIBRARY = [name for name in files() if tops([name]) == {"fairtrial"}]
ALL = list(files())


def short(name):
    return name.removeprefix("fairtrial").removeprefix(".") or "__init__"


@pytest.mark.parametrize("name", LIBRARY)
def test_every_file_has_a_row(name):
    assert matches(short(name), TORCH_FREE | TORCH)


FREE = [name for name in LIBRARY if matches(short(name), TORCH_FREE)]
FREE += [name for name in ALL if name.startswith(("analysis", "ablations"))]


@pytest.mark.parametrize("name", FREE)
def test_torch_free_files_never_load_torch(name):
    assert not {"torch", "torchvision"} & loaded(name)


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith(("analysis", "fairtrial.stats"))])
def test_analysis_and_statistics_import_no_torch_at_all(name):
    assert not {"torch", "torchvision"} & tops(imports(name, anywhere=True))


@pytest.mark.parametrize(
    "name", ["fairtrial.cli.main", "fairtrial.planning.plan", "fairtrial.planning.status", "fairtrial.rng"]
)
def test_what_answers_at_once_loads_nothing_heavy(name):
    heavy = {"numpy", "scipy", "pandas", "torch", "matplotlib", "optuna", "sklearn", "rich", "jinja2"}
    assert not heavy & loaded(name)


@pytest.mark.parametrize(
    "name",
    [n for n in LIBRARY if n.startswith("fairtrial.layers") or n in NETWORKS],
)
def test_networks_know_no_study_seed_file_or_environment(name):
    """What compiles and loads kernels is behind fairtrial.kernels; networks themselves open nothing."""
    found = imports(name, anywhere=True)
    ours = {each for each in found if each.startswith("fairtrial")}
    assert all(each.startswith(("fairtrial.layers", "fairtrial.kernels", *NETWORKS)) for each in ours)
    assert (
        not {"fairtrial.kernels.compiler", "fairtrial.storage.user_cache", "fairtrial.storage.atomic"} & ours
    )
    assert not {"ctypes", "subprocess", "tempfile"} & tops(found)
    assert not {"os", "pathlib", "io", "json", "time"} & tops(found)
    assert not {"open", "print"} & {called(call) for call in calls(name)}


@pytest.mark.parametrize("name", [name for name in LIBRARY if name.startswith("fairtrial.kernels")])
def test_kernels_know_tensors_and_the_cache_alone(name):
    ours = {each for each in imports(name, anywhere=True) if each.startswith("fairtrial.")}
    allowed = (
        "fairtrial.kernels",
        "fairtrial.storage.user_cache",
        "fairtrial.errors",
        "fairtrial.storage.atomic",
    )
    assert all(each.startswith(allowed) for each in ours)


def test_the_layers_come_without_triton():
    assert "triton" in loaded("fairtrial.kernels.triton_std_conv")
    assert "triton" not in loaded("fairtrial.layers") | loaded("fairtrial.kernels.triton_support")


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("bench")])
def test_bench_loads_no_study(name):
    assert not {
        "fairtrial.study.study",
        "fairtrial.study.loader",
        "fairtrial.execution.runner",
        "fairtrial.storage.store",
    } & loaded(name)


@pytest.mark.parametrize("name", ALL)
def test_rooms_never_import_rooms(name):
    others = set(ROOMS) - tops([name])
    if name == "fairtrial.cli.main":
        others -= {"analysis"}  # report, when it is asked for
        assert "analysis" not in tops(loaded(name))
    assert not (others | {"tests"}) & tops(imports(name, anywhere=True))


def test_train_neither_prints_nor_opens_files_nor_reads_a_clock():
    assert not {"time", "os", "pathlib", "io", "datetime", "logging", "sys"} & tops(
        imports("fairtrial.training.loop", anywhere=True)
    )
    assert not {"open", "print", "input"} & {called(call) for call in calls("fairtrial.training.loop")}


@pytest.mark.parametrize("name", ALL)
def test_libraries_have_one_owner(name):
    owned = tops(imports(name, anywhere=True)) & set(OWNERS)
    assert all(matches(name, OWNERS[library]) for library in owned), owned


def writing(call):
    what = called(call)
    if call.args and ast.unparse(call.args[0]) in ("os.devnull", "buffer"):
        return False
    mode = keyword(call, "mode") or next(
        (ast.unparse(each) for each in call.args[what == "open" :][:1]), "'r'"
    )
    if what == "open" or (what.endswith(".open") and what != "os.open"):
        return any(letter in mode for letter in "wax+") and mode.startswith("'")
    owner, _, method = what.rpartition(".")
    return method in OS_WRITES if owner == "os" else method in WRITES


@pytest.mark.parametrize("name", ALL)
def test_files_are_written_by_their_owner(name):
    found = [called(call) for call in calls(name) if writing(call)]
    assert not found or matches(name, WRITERS), found


def test_writing_is_recognised():
    """So that the wall above can fail."""
    texts = (
        "open('a', 'w')",
        "open('a', mode='ab')",
        "p.open('x')",
        "p.write_text('')",
        "os.replace(a, b)",
        "os.open(a)",
    )
    assert all(writing(ast.parse(text).body[0].value) for text in texts)
    texts = (
        "open('a')",
        "p.open('rb')",
        "'a'.replace(b, c)",
        "os.open(os.devnull, 1)",
        "figure.savefig(buffer)",
    )
    assert not any(writing(ast.parse(text).body[0].value) for text in texts)


@pytest.mark.parametrize("name", ALL)
def test_only_the_loader_of_study_files_runs_a_program(name):
    running = {"exec", "eval", "compile", "__import__", "runpy.run_path", "os.system", "os.popen"}
    found = {called(call) for call in calls(name)} & running
    found |= {
        called(call)
        for call in calls(name)
        if called(call).endswith((".exec_module", ".spec_from_file_location"))
    }
    assert found == ({"exec", "compile"} if name == "fairtrial.study.loader" else set())


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_unpickled(name):
    assert not set(PICKLES) & tops(imports(name, anywhere=True))
    for call in calls(name):
        what = called(call)
        assert not what.endswith(".read_pickle")
        assert keyword(call, "shell") in (None, "False")
        assert keyword(call, "allow_pickle") in (None, "False")
        if what == "torch.load":
            assert keyword(call, "weights_only") == "True"
        assert what not in ("yaml.load", "yaml.unsafe_load")


def test_imports_are_read_as_they_are_loaded():
    """So that the walls above can fail: the driver's hall reaches the torch wing through a process only."""
    assert "torch" in loaded("fairtrial.execution.cell.run_cell")
    assert "fairtrial.execution.cell.run_cell" not in loaded("fairtrial.execution.worker")
    assert "fairtrial.execution.cell.run_cell" in imports("fairtrial.execution.worker", anywhere=True)
    assert "numpy" not in imports("fairtrial.rng", anywhere=False)
    assert "numpy.random" in imports("fairtrial.rng", anywhere=True)
