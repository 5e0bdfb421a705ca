"""The house as its own imports, calls and sizes describe it: `python -m tests.support.house` prints it."""

import ast
import statistics
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
SCRIPTS = ("ablations", "bench", "analysis")


def for_each(names):
    """One test of a rule over all these modules; it ends with every module that breaks it, and how."""

    def over(rule):
        def test():
            broken = {}
            for name in names:
                try:
                    rule(name)
                except AssertionError as error:
                    broken[name] = str(error)
            assert not broken, "".join(f"\n{name}: {how}" for name, how in broken.items())

        assert names, "no module to hold the rule against"
        test.__name__, test.__doc__ = rule.__name__, rule.__doc__
        return test

    return over


def matches(name, patterns):
    """Whether a module is one of the patterns, or lies below one that ends in `.*`."""
    return any(name == each or (each.endswith(".*") and name.startswith(each[:-1])) for each in patterns)


@cache
def files():
    """Module name -> path, of the library and of the scripts."""
    found = {}
    for folder in (SRC, *(ROOT / scripts for scripts in SCRIPTS)):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(SRC if folder == SRC else ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def text(name):
    """The source of a module."""
    return files()[name].read_text(encoding="utf-8")


@cache
def tree(name):
    """The syntax tree of a module."""
    return ast.parse(text(name))


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


@cache
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
    return frozenset(seen)


def ours(name, *, anywhere=False):
    """The modules of the library that a module imports itself."""
    return {each for each in imports(name, anywhere=anywhere) if each in files() and each != name}


def tops(modules):
    """The top-level names of modules."""
    return {module.partition(".")[0] for module in modules}


@cache
def nodes(name):
    """Every node of a module's syntax tree."""
    return tuple(ast.walk(tree(name)))


@cache
def calls(name):
    """Every call in a module."""
    return tuple(node for node in nodes(name) if isinstance(node, ast.Call))


def called(call):
    """'open' of open(...), 'os.replace' of os.replace(...), '.write_text' of anything.write_text(...)."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
        return f"{owner}.{call.func.attr}"
    return ""


def keyword(call, name):
    """The source of a keyword's value; None where it is not given."""
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def users(modules, *names):
    """The modules that call one of these names; '.rename' is a method of anything."""
    return {name for name in modules if any(called(call).endswith(names) for call in calls(name))}


def strings(name):
    """The texts in a module that are no docstrings."""
    return {
        node.value for node in nodes(name) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def longest_chain():
    """The longest chain of imports of our own, at load, as modules; a circle is a ValueError."""
    best, open_ = {}, []

    def chain(name):
        if name in open_:
            raise ValueError("circle of imports: " + " -> ".join([*open_[open_.index(name) :], name]))
        if name not in best:
            open_.append(name)
            below = [chain(each) for each in sorted(ours(name)) if not name.startswith(f"{each}.")]
            open_.pop()
            best[name] = [name, *max(below, key=len, default=[])]
        return best[name]

    return max((chain(name) for name in LIBRARY), key=len)


def functions():
    """(module, name, lines) of every function of the library."""
    return [
        (name, node.name, node.end_lineno - node.lineno + 1)
        for name in LIBRARY
        for node in ast.walk(tree(name))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def modules_per_folder():
    """Folder -> number of modules in it, `__init__` left out."""
    return Counter(files()[name].parent for name in LIBRARY if files()[name].name != "__init__.py")


LIBRARY = [name for name in files() if tops([name]) == {"fairtrial"}]
ALL = list(files())


def main():
    """Print what tests/test_house.py holds."""
    lengths = sorted(lines for _, _, lines in functions())
    lines = {name: text(name).count("\n") for name in LIBRARY}
    folders = modules_per_folder()
    print(f"modules      {len(LIBRARY)}, {sum(lines.values()):,} lines; longest {max(lines.values())}")
    for folder, number in sorted(folders.items(), key=lambda each: (-each[1], str(each[0]))):
        print(f"  {number:3} {folder.relative_to(ROOT)}")
    p90 = statistics.quantiles(lengths, n=10)[-1]
    median = statistics.median(lengths)
    print(f"functions    {len(lengths)}, median {median:g}, p90 {p90:g}, longest {lengths[-1]}")
    chain = longest_chain()
    print(f"import levels {len(chain)}: {' > '.join(each.removeprefix('fairtrial.') for each in chain)}")


if __name__ == "__main__":
    main()
