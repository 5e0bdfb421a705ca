"""The walls of the house (docs/architecture.md), read from the imports and calls of every file."""

import ast

from tests.support.house import (
    ALL,
    LIBRARY,
    SCRIPTS,
    called,
    calls,
    files,
    for_each,
    imports,
    keyword,
    loaded,
    matches,
    tops,
)

# A folder has one wing: what a torch-free folder needs of torch, a worker process does or it imports late.
TORCH_FREE = (
    "cli", "execution", "planning", "plugins", "regression", "reporting", "stats", "storage", "study",
    "tuning",
)  # fmt: skip
TORCH = ("data", "execution.cell", "kernels", "layers", "measurements", "models", "training", "weights")
# Never torch, at any depth: what they say must be said on a machine without it.
NEVER = tuple(f"fairtrial.{folder}" for folder in ("planning", "reporting", "stats", "storage", "study"))
HEAVY = {"numpy", "scipy", "pandas", "torch", "matplotlib", "optuna", "sklearn", "rich", "jinja2"}

# A library that is heavy to load or that one folder owns -> who may import it, at any depth.
OWNERS = {
    "optuna": ("fairtrial.tuning.*",),
    "sqlalchemy": ("fairtrial.tuning.database_url", "fairtrial.tuning.database_answers"),
    "psycopg": ("fairtrial.tuning.database_url",),
    "matplotlib": ("fairtrial.reporting.*",),
    "sklearn": ("fairtrial.data.*",),
    "pyarrow": ("fairtrial.parquet_reader", "fairtrial.data.*"),
    "rich": ("fairtrial.screen", "fairtrial.execution.display.displays"),
    "jinja2": ("fairtrial.reporting.*",),
    "mlflow": ("fairtrial.reporting.export_runs",),
    "tensorboard": ("fairtrial.reporting.export_runs",),
    "wandb": ("fairtrial.reporting.export_runs",),
    "typst": ("fairtrial.reporting.report.pdf_document",),
    "tqdm": ("fairtrial.screen", "fairtrial.execution.display.displays"),
    "triton": ("fairtrial.kernels.*",),
    "ray": ("fairtrial.execution.ray_engine",),
}
# Who may create, overwrite or rename files; everybody else goes through storage.atomic.
WRITERS = {
    "fairtrial.storage.atomic": "the owner",
    "fairtrial.data.archive": "unpacks members into a folder that storage.atomic names when it is whole",
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
# Who may read what is in no user's hands; everybody else goes through plain_file, which waits for no pipe.
SYSTEM = "/proc and /sys, which the system writes"
PACKAGE = "files of the package"
READERS = {
    "fairtrial.plain_file": "the owner",
    "fairtrial.execution.container": SYSTEM,
    "fairtrial.execution.process_environment": SYSTEM,
    "fairtrial.execution.suspension": SYSTEM,
    "fairtrial.execution.worker": f"{SYSTEM}, and its own standard output",
    "fairtrial.regression.benchmark_records": SYSTEM,
    "fairtrial.signals": SYSTEM,
    "fairtrial.storage.lock": SYSTEM,
    "fairtrial.storage.provenance": f"{SYSTEM}, and new source files of the checkout it was loaded from",
    "fairtrial.execution.worker_host": f"{PACKAGE}, and those that its worker has just written",
    "fairtrial.kernels.compiler": f"{PACKAGE}, {SYSTEM}, and what the compiler has just written",
    "fairtrial.reporting.claims.published": PACKAGE,
    "fairtrial.reporting.claims.published_claims": PACKAGE,
    "fairtrial.reporting.report.pdf_document": PACKAGE,
    "fairtrial.cli.output": "os.devnull, in place of a closed stream",
    "fairtrial.storage.atomic": "files that it has just made, and folders",
    "fairtrial.storage.download": "an address of the network",
    "fairtrial.data.archive": "members of an archive that plain_file has opened",
    "fairtrial.data.archive_members": "an archive that plain_file has opened",
    "fairtrial.data.decode": "bytes in memory",
    "fairtrial.weights.npz": "members of an archive that plain_file has opened",
    "fairtrial.execution.cell.run_cell": "a split of images, which is no file",
}
PICKLES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}


def folder_of(name):
    return name.removeprefix("fairtrial.").rpartition(".")[0]


def in_torch_wing(name):
    return folder_of(name).startswith(TORCH) or name in {f"fairtrial.{folder}" for folder in TORCH}


@for_each(LIBRARY)
def test_every_folder_has_a_wing(name):
    folder = folder_of(name)
    assert not folder or folder.split(".")[0] in {wing.split(".")[0] for wing in TORCH_FREE + TORCH}


FACES = ("fairtrial.resnetv2", "fairtrial.augment")  # public names of what lies in the torch wing
OUTSIDE = ("bench", *FACES)
FREE = [name for name in ALL if not in_torch_wing(name) and not name.startswith(OUTSIDE)]


@for_each(FREE)
def test_torch_free_folders_never_load_torch(name):
    assert not {"torch", "torchvision"} & loaded(name)


@for_each([name for name in LIBRARY if name.startswith(NEVER)])
def test_what_judges_imports_no_torch_at_all(name):
    assert not {"torch", "torchvision"} & tops(imports(name, anywhere=True))


@for_each(["fairtrial.cli.main", "fairtrial.planning.plan", "fairtrial.planning.status", "fairtrial.rng"])
def test_what_answers_at_once_loads_nothing_heavy(name):
    assert not HEAVY & loaded(name)


NETWORKS = [name for name in LIBRARY if name.startswith(("fairtrial.layers", "fairtrial.models"))]
NETWORKS.remove("fairtrial.models.torchvision_backbones")  # loads torchvision's own weights


@for_each(NETWORKS)
def test_networks_know_no_study_seed_file_or_environment(name):
    """What compiles and loads kernels is behind fairtrial.kernels; networks themselves open nothing."""
    found = imports(name, anywhere=True)
    allowed = ("fairtrial.layers", "fairtrial.kernels", "fairtrial.models", "fairtrial.norm_table")
    assert all(each.startswith(allowed) for each in found if each.startswith("fairtrial."))
    assert "fairtrial.kernels.compiler" not in found
    assert not {"ctypes", "subprocess", "tempfile", "os", "pathlib", "io", "json", "time"} & tops(found)
    assert not {"open", "print"} & {called(call) for call in calls(name)}


@for_each([name for name in LIBRARY if name.startswith("fairtrial.kernels")])
def test_kernels_know_tensors_and_the_cache_alone(name):
    below = ("errors", "installation", "plain_file", "storage", "storage.atomic", "storage.user_cache")
    found = {each for each in imports(name, anywhere=True) if each in files()}
    assert {each for each in found if not each.startswith("fairtrial.kernels")} <= {
        "fairtrial",
        *(f"fairtrial.{each}" for each in below),
    }


def test_the_layers_come_without_triton():
    assert "triton" in loaded("fairtrial.kernels.triton_std_conv")
    assert "triton" not in loaded("fairtrial.layers") | loaded("fairtrial.kernels.triton_support")


# the bench of many cells looks at a study
@for_each([name for name in ALL if name.startswith("bench") and name != "bench.test_size"])
def test_bench_loads_no_study(name):
    unwanted = {"study.study", "study.loader", "execution.runner", "storage.store"}
    assert not {f"fairtrial.{each}" for each in unwanted} & loaded(name)


@for_each(ALL)
def test_the_library_imports_no_script_and_scripts_import_the_library_alone(name):
    assert not (set(SCRIPTS) - tops([name]) | {"tests"}) & tops(imports(name, anywhere=True))


def test_the_loop_neither_prints_nor_opens_files_nor_reads_a_clock():
    loop = "fairtrial.training.loop"
    outside = {"time", "os", "pathlib", "io", "datetime", "logging", "sys"}
    assert not outside & tops(imports(loop, anywhere=True))
    assert not {"open", "print", "input"} & {called(call) for call in calls(loop)}


@for_each(ALL)
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
    if what == "os.open" and len(call.args) > 1:
        return not ast.unparse(call.args[1]).startswith("os.O_RDONLY")
    return method in OS_WRITES if owner == "os" else method in WRITES


@for_each(ALL)
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
        "os.open(a, os.O_WRONLY | os.O_CREAT)",
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


def reading(call):
    """Whether a call may read a file; those of plain_file are called by their bare names."""
    what = called(call)
    if call.args and ast.unparse(call.args[0]) == "os.devnull":
        return False
    if what.endswith((".read_text", ".read_bytes")):
        return True
    return what in ("open", "os.fdopen") or (what.endswith(".open") and not writing(call))


@for_each(LIBRARY)
def test_files_are_read_by_their_owner(name):
    """A pipe in place of a file hangs whoever just opens it, and /dev/zero has no end."""
    found = [f"{called(call)} in line {call.lineno}" for call in calls(name) if reading(call)]
    assert not found or name in READERS, found
    assert found or name not in READERS, "it reads no file of its own any more"


def test_reading_is_recognised():
    """So that the wall above can fail."""
    for text in (
        "p.read_text()",
        "p.read_bytes()",
        "(a / b).read_text()",
        "open(p)",
        "p.open('rb')",
        "io.open(p)",
    ):
        assert reading(ast.parse(text).body[0].value), text
    for text in ("read_text(p, 64)", "read_file(p, 64)", "open_file(p)", "p.open('w')", "f.read()"):
        assert not reading(ast.parse(text).body[0].value), text


@for_each(ALL)
def test_only_the_loader_of_user_programs_runs_one(name):
    running = {"exec", "eval", "compile", "__import__", "runpy.run_path", "os.system", "os.popen"}
    found = {called(call) for call in calls(name)} & running
    found |= {
        called(call)
        for call in calls(name)
        if called(call).endswith((".exec_module", ".spec_from_file_location"))
    }
    assert found == ({"exec", "compile"} if name == "fairtrial.plugins.user_program" else set())


@for_each(ALL)
def test_the_path_of_imports_is_edited_by_the_loader_of_user_programs_alone(name):
    edits = {called(call) for call in calls(name) if ast.unparse(call.func).startswith("sys.path.")}
    assert not edits or name == "fairtrial.plugins.user_program"


@for_each(ALL)
def test_nothing_is_unpickled(name):
    assert not PICKLES & tops(imports(name, anywhere=True))
    for call in calls(name):
        what = called(call)
        assert not what.endswith(".read_pickle")
        assert keyword(call, "shell") in (None, "False")
        assert keyword(call, "allow_pickle") in (None, "False")
        if what == "torch.load":
            assert keyword(call, "weights_only") == "True"
        assert what not in ("yaml.load", "yaml.unsafe_load")


@for_each(ALL)
def test_no_process_loads_images_beside_a_cell(name):
    """Images are whole in memory: what a number of loading processes could change, R4, cannot happen."""
    loads = any(called(call).rsplit(".", 1)[-1] == "DataLoader" for call in calls(name))
    assert loads == (name == "bench.harness.reference_loop")  # the released loop, to compare with


def test_imports_are_read_as_they_are_loaded():
    """So that the walls above can fail: the driver reaches the torch wing through a process only."""
    assert "torch" in loaded("fairtrial.execution.cell.run_cell")
    assert "fairtrial.execution.cell.run_cell" not in loaded("fairtrial.execution.worker")
    assert "fairtrial.execution.cell.run_cell" in imports("fairtrial.execution.worker", anywhere=True)
    assert "numpy" not in imports("fairtrial.rng", anywhere=False)
    assert "numpy.random" in imports("fairtrial.rng", anywhere=True)
