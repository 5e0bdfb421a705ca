"""Who writes, reads, loads and runs files: walls of the house that are read from the calls of every file."""

import ast

from tests.support.house import (
    ALL,
    LIBRARY,
    called,
    calls,
    for_each,
    imports,
    keyword,
    matches,
    tops,
)

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
