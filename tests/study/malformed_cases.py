"""Every way to go wrong of RELIABILITY.md, section 6: what is edited or asked for, and what is said."""

import re
from dataclasses import dataclass

from tests.study.malformed import BUDGET, FIXED, LEVELS, SEEDS, SIZES
from tests.support.studies import TEXT, spoiled

ELSEWHERE = {
    "C6": "any number of groups is taken: tests/models/test_resnet.py",
    "C16": "tests/tuning/test_database_url.py",
}


@dataclass
class Case:
    """One way to go wrong. says: regular expressions that stderr must hold, in any order."""

    id: str
    says: tuple[str, ...]
    edit: tuple[str, str] | None = None  # of the study file: (old, new)
    text: str | bytes | None = None  # of the whole file instead
    options: tuple[str, ...] = ()
    where: str = ""  # what stands on the line that must be named; an option names itself

    def __str__(self) -> str:
        told = self.edit[1] if self.edit else " ".join(self.options) or str(self.text)
        return f"{self.id}-{told[:30]!r}"


def in_file(id, old, new, *says, where=None):
    return Case(id, says, edit=(old, new), where=new.partition("\n")[0] if where is None else where)


def by_option(id, options, *says):
    return Case(id, says, options=tuple(options.split("|")))


def whole(id, text, *says, where=""):
    return Case(id, says, text=text, where=where)


def in_contrast(new, *says):
    return in_file("C20", 'at={"batch_size": 4}', new, "contrast 'small batch'", *says, where="primary=")


CASES = [
    in_file("C1", '"norm": (', '"normalisation": (', "normalisation", "did you mean 'norm'"),
    in_file("C1", '"lr"', '"learning_rate"', "unknown factor 'learning_rate'", "known: model, norm"),
    in_file("C1", "question=", "questoin=", "unknown keyword 'questoin' of Study", "did you mean 'question'"),
    in_file("C1", "treatment=", "treatmnt=", "unknown keyword 'treatmnt' of Contrast", "'treatment'"),
    in_file("C1", "examples=64", "exmples=64", "unknown keyword 'exmples' of Budget", "'examples'"),
    in_file("C1", "seeds=", "presets={'mimi': {}},\n    seeds=", "unknown preset 'mimi'", "'mini'"),
    in_file("C1", "seeds=", "presets={'mini': {'sedes': 3}},\n    seeds=", "sedes", "did you mean 'seeds'"),
    in_file("C1", "seeds=", "preset='tiny',\n    seeds=", "unknown preset 'tiny'", "embedded, mini"),
    by_option("C1", "--set|normalisation=bn", "unknown factor 'normalisation'", "did you mean 'norm'"),
    by_option("C1", "--preset|mimi", "unknown preset 'mimi', did you mean 'mini'"),
    by_option("C1", "--sedes|3", "unrecognized", "did you mean '--seeds'"),
    by_option("C1", "--seed|3", "unrecognized", "did you mean '--seeds'"),
    in_file("C2", LEVELS, '("bn", "groupnorm2")', "norm='groupnorm2'", "one of bn, gn, ln, in, none, frn"),
    in_file("C2", LEVELS, '("bn", ["gn"])', r"norm=\['gn'\]", "one of bn, gn, ln, in, none, frn"),
    by_option("C2", "--set|norm=bn,groupnorm2", "norm='groupnorm2'", "one of bn, gn, ln, in, none, frn"),
    *(
        in_file("C3", SIZES, f"(4, {value})", f"batch_size={re.escape(shown)}", said, "from 1 to 1048576")
        for value, shown, said in (
            ("0", "0", "outside 1..1048576"),
            ("-8", "-8", "outside"),
            ("2.5", "2.5", "is float"),
            ("'32'", "'32'", "is str"),
            ("True", "True", "is bool"),
            ("1e400", "inf", "is float"),
            ("None", "None", "is NoneType"),
            ("10**5000", "int of thousands of digits", "outside"),
        )
    ),
    *(
        by_option("C3", f"--set|batch_size=4,{value}", said, "from 1 to 1048576")
        for value, said in (("0", "outside"), ("-8", "outside"), ("2.5", "is float"), ("1e400", "is float"))
    ),
    by_option("C3", "--set|batch_size=4," + "9" * 5000, "is float", "from 1 to 1048576"),
    in_file("C4", FIXED, '"shots": 0', "shots=0", "outside 1", "'all', or a whole number"),
    in_file("C4", FIXED, '"shots": "some"', "shots='some'", "'all', or a whole number"),
    by_option("C4", "--set|shots=0", "shots=0", "outside 1"),
    in_file("C5", FIXED, '"mixup": -0.1', "mixup=-0.1", "finite number >= 0"),
    in_file("C5", FIXED, '"mixup": float("nan")', "mixup=nan is not finite"),
    in_file("C5", FIXED, '"mixup": 1e400', "mixup=inf is not finite"),
    in_file("C5", FIXED, '"mixup": 10**400', "mixup=1000", "is not finite"),
    in_file("C5", FIXED, '"mixup": True', "mixup=True is bool"),
    by_option("C5", "--set|mixup=-0.1", "mixup=-0.1", "finite number >= 0"),
    by_option("C5", "--set|mixup=0,nan", "mixup=nan is not finite"),
    by_option("C5", "--set|mixup=inf", "mixup=inf is not finite"),
    in_file("C7", SIZES, "(4, 1)", "norm='bn' with batch_size=1", "undefined", "another norm"),
    in_file("C7", FIXED, '"stat_batch": 1', "norm='bn' with stat_batch=1", "undefined", "another norm"),
    in_file("C7", FIXED, '"micro_batch": 1, "bn_split": True', "micro_batch=1", "undefined", "another norm"),
    in_file("C7", FIXED, '"micro_batch": 2', "from 4 to 2 images", "bn_split=True"),
    by_option("C7", "--set|batch_size=4,1", "norm='bn' with batch_size=1", "undefined"),
    in_file("C8", SEEDS, "()", "no seeds", "at least 3"),
    in_file("C8", SEEDS, "range(0)", "no seeds", "at least 3"),
    in_file("C8", SEEDS, "(1, 1)", "seed 1 stands more than once", "new replicate"),
    in_file("C8", SEEDS, "(0,)", r"one seed \(n = 1\) gives no interval", "at least 3"),
    in_file("C8", SEEDS, "(0, -1)", "seed -1", "0..2147483647"),
    in_file("C8", SEEDS, "(0, 2**64)", "seed 18446744073709551616", "0..2147483647"),
    in_file("C8", SEEDS, "(0, True)", "seed True", "0..2147483647"),
    in_file("C8", SEEDS, "(0, [1])", r"seed \[1\]", "0..2147483647"),
    in_file("C8", SEEDS, "5", "seeds=5 is int", r"range\(10\)"),
    in_file("C8", SEEDS, "'123'", "seeds='123' is str", r"range\(10\)"),
    in_file("C8", SEEDS, "(seed for seed in range(3))", "is generator", r"range\(10\)"),
    by_option("C8", "--seeds|0", "no seeds"),
    by_option("C8", "--seeds|-1", "no seeds"),
    by_option("C8", "--seeds|1", r"one seed \(n = 1\)", "at least 3"),
    by_option("C8", "--seeds|1,1", "seed 1 stands more than once"),
    by_option("C8", "--seeds|0,-1", "seed -1", "0..2147483647"),
    by_option("C8", "--seeds|0,18446744073709551616", "seed 18446744073709551616", "0..2147483647"),
    by_option("C8", "--seeds|9..5", "no seeds"),
    by_option("C8", "--seeds|some", "neither a count nor a list", r"a span \(5\.\.9\)"),
    by_option("C8", "--seeds|" + "9" * 5000, "neither a count nor a list"),
    in_file("C9", BUDGET, "examples=0", "examples=0 is not a finite number above 0"),
    in_file("C9", BUDGET, "seconds=-60", "seconds=-60 is not a finite number above 0"),
    in_file("C9", BUDGET, "flops=10**400", "is not a finite number above 0"),
    in_file("C9", BUDGET, "examples=True", "examples=True is not a number"),
    in_file("C9", BUDGET, "examples=2.5", "not a whole number"),
    in_file("C9", BUDGET, "examples=64, steps=2", r"exactly one of examples, steps, flops, seconds"),
    in_file("C9", "Budget(examples=64)", "64", "budget=64 is int", r"Budget\(examples=2000\)"),
    by_option("C9", "--budget|0ex", "not a finite number above 0"),
    by_option("C9", "--budget=-5s", "seconds=-5.0 is not a finite number above 0"),
    by_option(
        "C9",
        "--budget|10 parsecs",
        "'10 parsecs'",
        r"ex \(examples\), .*st \(steps\), .*h \(hours\)|s \(seconds\)",
    ),
    by_option("C9", "--budget|64", "not a number with a unit", r"ex \(examples\)"),
    by_option("C9", "--budget|1e400ex", "not a finite number"),
    by_option("C9", "--budget|1.2.3s", "'1.2.3' is not a number"),
    by_option("C9", "--budget|60s|--total-budget|30s", "one cell of .* takes 1 min 0 s", "cost 30 s"),
    by_option("C9", "--total-budget|30", "not a number with a unit"),
    by_option("C9", "--total-budget|0s", "not a time above 0"),
    by_option("C9", "--cell-timeout|20ex", "not a time above 0"),
    in_file("C10", LEVELS, "()", "factor norm has no levels", "at least one level"),
    in_file("C10", LEVELS, "'bn'", "norm='bn' is not a tuple of levels", r"write \('bn',\)"),
    in_file("C10", "range(3)", "range(10**9)", "4,000,000,000 cells", "at most 100,000"),
    in_file("C10", SIZES, "range(1, 10**40)", "cells", "at most 100,000", where="factors="),
    in_file("C10", SIZES, "{4: 16}", "not a tuple of levels"),
    in_file(
        "C10",
        '        "norm": ("bn", "gn"),\n        "batch_size": (4, 16),\n',
        "",
        "no factor",
        where="factors=",
    ),
    by_option("C10", "--seeds|18446744073709551616", "73,786,976,294,838,206,464 cells", "at most 100,000"),
    in_file("C11", FIXED, '"micro_batch": 3', "micro_batch=3 does not divide batch_size=4", "of 4: 1, 2, 4"),
    in_file("C11", FIXED, '"stat_batch": 8', "stat_batch=8 does not divide batch_size=4", "of 4: 1, 2, 4"),
    in_file(
        "C11",
        FIXED,
        '"micro_batch": 4, "stat_batch": 3',
        "stat_batch=3 does not divide micro_batch=4",
        "1, 2, 4",
    ),
    by_option("C11", "--set|stat_batch=3", "stat_batch=3 does not divide batch_size=4", "of 4: 1, 2, 4"),
    in_file("C12", FIXED, '"lr": 0.3,\n        "lr": 0.1', "'lr' stands twice", "line 11", where='"lr": 0.1'),
    in_file("C12", SIZES, "(4, 16", "not Python", where="    },\n"),
    in_file("C12", FIXED, '"lr": 0.3, 1.0: 2, True: 3', "stands twice"),
    in_file(
        "C12", "seeds=range(3)", "seeds=range(3), seeds=range(3)", "not Python: keyword argument repeated"
    ),
    whole("C12", spoiled((FIXED, '"lr": 0.3\0')), "NUL", where='"lr"'),
    whole("C12", TEXT.replace("small?", "sm\xe4ll?").encode("latin-1"), "not UTF-8", where="question"),
    whole("C12", "(" * 10_000, "not Python", where="((("),
    whole("C12", "STUDY = " + "-" * 10_000 + "1", "nested too deeply"),
    whole("C12", "STUDY = " + "1+" * 10_000 + "1", "nested too deeply"),
    whole("C12", TEXT + "#" * 2**20, "more than 1,048,576 bytes"),
    in_file("C13", FIXED, '"resolution": 0', "resolution=0 is outside 2..4096"),
    by_option("C13", "--set|resolution=0", "resolution=0 is outside 2..4096"),
    by_option("C14", "--set|mixup=0.1,1e-1", "two levels of mixup are the same: 0.1 and 0.1"),
    by_option("C14", "--set|data=folder:a/x,folder:b/x", "two levels of data are the same"),
    in_file(
        "C14",
        '"norm": (',
        '"mixup": (1, 1.0),\n        "norm": (',
        "two levels of mixup are the same: 1 and 1.0",
    ),
    in_file("C14", SIZES, "(4, 4)", "two levels of batch_size are the same: 4 and 4"),
    in_file("C14", SIZES, "(1, True, 1.0)", "batch_size=True is bool", "batch_size=1.0 is float"),
    *(
        in_file("C17", '"small"', repr(name), "study name", "lower-case letters, digits or hyphens")
        for name in ("../x", "", "a" * 300, "a\0b", "<script>", "Norm", "a b", "a/b", "-a", "a.b", "\u0430")
    ),
    in_file("C17", '"small"', "3", "study name 3", "lower-case"),
    by_option("C18", "--device|tpu", "unknown device 'tpu'", "cpu, cuda, cuda:N"),
    by_option("C18", "--device|cuda:", "unknown device 'cuda:'", "cpu, cuda, cuda:N"),
    by_option(
        "C18", "--device|cuda:7", "cuda:7 is not there", "this machine has (no GPU|cuda:0)", "use --device"
    ),
    *(
        by_option(
            "C18", f"--{name}|{value}", f"--{name} {value} is not a whole number from 1", r"has \d+ cores"
        )
        for name in ("jobs", "threads")
        for value in ("0", "-1", "two", "1.5", "99999999999999999999")
    ),
    by_option("C18", "--limit|0", "--limit 0 is not a whole number above 0"),
    by_option("C18", "--results|small.py", "'small.py' is a file, not a folder"),
    whole(
        "C19",
        TEXT.replace("STUDY", "STDY"),
        "no STUDY",
        "names found: Budget, Contrast, Study, STDY",
        "rename STDY",
    ),
    whole("C19", "x = 1", "no STUDY", "names found: x", r"write STUDY = Study\(\.\.\.\)"),
    whole("C19", "STUDY = 3", "STUDY is a int, not a fairtrial.study.Study"),
    whole("C19", TEXT + "\n1 / 0\n", "raised ZeroDivisionError", "mend that line", where="1 / 0"),
    whole(
        "C19", "import nowhere_at_all\n", "'nowhere_at_all', which is not installed", "pip", where="import"
    ),
    whole("C19", "from fairtrial.study import Studdy\n", "raised ImportError", "Studdy", where="from"),
    whole("C19", "raise SystemExit(0)\n", "ends the program", "__main__", where="raise"),
    whole("C19", "from fairtrial import Study\nSTUDY = Study(name='a')\n", "TypeError", where="STUDY"),
    by_option("C20", "--set|norm", "'norm' has no '='", "factor=level"),
    by_option("C20", "--set|norm=bn|--set|norm=gn", "norm is set twice"),
    by_option("C20", "--set|norm=bn,", "an empty level"),
    by_option("C20", "--set|norm=", "an empty level"),
    by_option("C20", "--set|=3", "unknown factor ''", "known: model, norm"),
    by_option("C20", "--set|data=digits|--data|cifar10", "given twice", "--data and --set data"),
    by_option("C20", "--data|nowhere", "data specification", "digits"),
    in_contrast(
        'at={"batch_size": 8}', "names batch_size=8, which is not swept", "levels of batch_size: 4, 16"
    ),
    in_contrast('at={"batch_size": "many"}', "names batch_size='many', which is not swept"),
    in_contrast('at={"mixup": 0}', "names 'mixup', which is not swept", "swept factors: norm, batch_size"),
    in_contrast('at={"norm": "gn"}', "names 'norm' in more than one of treatment, at and by"),
    in_contrast('by={"batch_size": (4, 4)}', "one factor with two levels"),
    in_contrast('by={"batch_size": 4}', "one factor with two levels"),
    in_contrast('by={"batch_size": (4, 8)}', "names batch_size=8, which is not swept"),
    in_contrast('metric="accuracy"', "unknown metric 'accuracy'", "known: test_acc"),
    in_contrast("margin=-1", "margin=-1 is not a number above 0"),
    in_contrast("at=4", "at=4 is not a table of levels"),
    in_file(
        "C20", 'treatment={"norm": "gn"}', "treatment={}", "must name the same factors", where="primary="
    ),
    in_file("C20", 'control={"norm": "bn"}', 'control={"norm": "gn"}', "are one arm", where="primary="),
    in_file(
        "C20",
        "seeds=",
        "aa={'norm': 'gn'},\n    seeds=",
        "the A/A arm names norm; the study sweeps norm, batch",
    ),
    in_file("C20", "seeds=", "margin=0,\n    seeds=", "margin=0 is not a number above 0"),
    in_file("C20", "seeds=", "secondary=['x'],\n    seeds=", "holds no Contrast"),
]


def fill(case, folder):
    """Write the case's study file; its text."""
    text = case.text if case.text is not None else spoiled(*([case.edit] if case.edit else []))
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / "small.py").write_bytes(raw)
    return raw.decode(errors="replace")
