"""The walls of the house (docs/architecture.md), read from the imports and calls of every file."""

from tests.support.house import (
    ALL,
    LIBRARY,
    SCRIPTS,
    called,
    calls,
    files,
    for_each,
    imports,
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


def test_imports_are_read_as_they_are_loaded():
    """So that the walls above can fail: the driver reaches the torch wing through a process only."""
    assert "torch" in loaded("fairtrial.execution.cell.run_cell")
    assert "fairtrial.execution.cell.run_cell" not in loaded("fairtrial.execution.worker")
    assert "fairtrial.execution.cell.run_cell" in imports("fairtrial.execution.worker", anywhere=True)
    assert "numpy" not in imports("fairtrial.rng", anywhere=False)
    assert "numpy.random" in imports("fairtrial.rng", anywhere=True)
