"""Planted truths reach the ledger with the right answer, and a laptop never wears BiT's name."""

import json

import pytest

from fairtrial.cli.main import main
from fairtrial.cli.output import show
from fairtrial.reporting.claims.ledger import ledger, record, sentences
from fairtrial.reporting.claims.published_claims import claims
from fairtrial.reporting.claims.read_claims import Recorded, answer_verdict, entries, read_benches
from fairtrial.reporting.results import load
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import find_studies
from fairtrial.study.budget import Budget
from fairtrial.study.study import Contrast
from tests.reporting.claims.conftest import INTERACTION, LARGE, found
from tests.reporting.conftest import BN, GN_WS


def test_a_planted_repair_is_supported_and_its_absence_contradicts(planted):
    assert found(planted(0.054, 0.056), "ws-repairs-gn").answer == "supported"
    worse = found(planted(0.054, 0.0, name="no-repair"), "ws-repairs-gn")
    assert worse.answer == "contradicted"
    by_part = {each.part.name: each for each in worse.evidence}
    assert by_part["GN+WS minus BN"].answer == "contradicted"
    assert by_part["GN minus BN, both without WS"].answer == "shown"


def test_the_distance_is_ours_minus_the_published_one(planted):
    each = found(planted(0.054, 0.056), "ws-repairs-gn").evidence[0]
    assert each.estimate == pytest.approx(0.056, abs=0.005)
    assert each.distance == pytest.approx(each.estimate - 0.056, abs=1e-12)
    assert (each.n, each.unit, each.scale) == (10, "seed", "scaled down")


def test_a_contrast_that_was_not_declared_is_exploratory(planted):
    each = found(planted(0.054, 0.056, primary=(LARGE,)), "ws-repairs-gn").evidence
    by_part = {one.part.name: one.stamps for one in each}
    assert by_part["GN+WS minus BN"] == ()
    assert "exploratory" in by_part["what WS is worth to GN more than to BN"]


def test_an_incomplete_study_decides_nothing(make_study, publish):
    store = publish(make_study(primary=(INTERACTION, LARGE)), lambda cell: 0.8 if cell.seed else None)
    entry = found(load.load(store), "ws-repairs-gn")
    assert entry.answer == "undecided"
    assert all(each.estimate is None and "incomplete" in each.reason for each in entry.evidence)


def test_transfer_speaks_over_upstream_seeds_only(make_transfer, publish, noise):
    """Fifteen subsets that all gain five points, below two checkpoints: nothing is decided."""

    def gain(cell):
        return 0.6 + 0.002 * noise(cell, "acc") + 0.05 * (cell.settings.norm == "gn")

    factors = {"norm": ("bn", "gn"), "weight_std": (False, True), "finetune": ("full", "scratch")}
    contrast = Contrast("transfers", GN_WS, BN, {"finetune": "full"})
    said = {}
    for number in (2, 3):
        study = make_transfer(
            name=f"of-{number}", factors=factors, only=(GN_WS, BN), primary=(contrast,),
            start={"upstream": "upstream", "upstream_seeds": number, "shots": 5},
        )  # fmt: skip
        entry = found(load.load(publish(study, gain)), "gn-ws-transfers")
        assert entry.evidence[0].n == number
        said[number] = entry.answer
    assert said == {2: "undecided", 3: "supported"}


def test_a_claim_without_a_study_says_what_it_needs(planted):
    entry = found(planted(0.0, 0.0), "hyperrule-near-tuning")
    assert (entry.answer, entry.scale) == ("not comparable", "not comparable")
    text = next(line for line in sentences(entries(Recorded([planted(0.0, 0.0)]))) if "HyperRule" in line)
    assert "Needs a tuning study" in text and "-2.43 points" in text


def test_the_rate_of_divergence_counts_seeds_and_not_runs(make_study, publish, noise):
    store = publish(
        make_study(),
        lambda cell: (
            "diverged" if cell.settings.norm == "gn" and cell.seed < 5 else 0.8 + 0.01 * noise(cell, "a")
        ),
    )
    each = next(one for one in found(load.load(store), "gn-ws-halves-throughput").evidence)
    assert (each.part.measure, each.n, each.unit, each.estimate) == ("rate", 10, "seed", 0.5)
    assert (each.low, each.high) == pytest.approx((0.18709, 0.81291), abs=1e-5)  # R: binom.test(5, 10)
    assert each.answer == "supported"


def test_runs_that_two_studies_share_count_once(planted, make_study, publish, noise):
    """The same runs again decide nothing; where some are shared, their seeds count once."""
    first, again = (planted(0.054, 0.056, name=name) for name in ("first", "again"))
    half = make_study(name="half", primary=(INTERACTION, LARGE), budget=Budget(examples=6144))

    def of_half(cell):
        acc = 0.8 + 0.003 * noise(cell, "acc") + 0.002 * (cell.settings.norm == "gn")
        twin = next(
            c
            for c in first.study.cells()
            if (c.levels, c.seed, c.replica) == (cell.levels, cell.seed, cell.replica)
        )
        digest = twin.id if cell.seed < 4 and cell.settings.norm == "bn" else cell.id
        return {"measured": {"test_acc": acc, "weights_sha256": digest}, "spent": {"examples": 6144}}

    entry = found([first, again, load.load(publish(half, of_half))], "ws-repairs-gn")
    part = next(part for part in entry.parts if part.part.name == "GN+WS minus BN")
    assert [one.same_as for one in part.evidence] == ["", "study first", ""]
    assert [one.shares for one in part.evidence] == [(), (), (("study first", 4),)]
    assert part.units == {"seed": {"digits": 16}}
    assert part.answer == found([first], "ws-repairs-gn").parts[1].answer
    assert "the same runs as study first, counted there" in "\n".join(sentences([entry]))
    assert "n = 16 seeds in all" in "\n".join(sentences([entry]))


def test_seeds_on_other_data_are_counted_apart(planted):
    """Ten seeds of each study are twenty of nothing: no unit is drawn from both sets of images."""
    other = {"data": "parquet:cifar10", "resolution": 32}
    studies = [planted(0.054, 0.056, name=name, fixed=fixed) for name, fixed in (("a", {}), ("b", other))]
    entry = found(studies, "ws-repairs-gn")
    part = next(part for part in entry.parts if part.part.name == "GN+WS minus BN")
    assert part.units == {"seed": {"digits": 10, "parquet:cifar10": 10}}
    text = "\n".join(sentences([entry]))
    assert "GN+WS minus BN: supported, n = 10 seeds on digits and 10 on parquet:cifar10.\n" in text
    assert "in all" not in text
    units = next(each for each in record([entry])[0]["parts"] if each["part"] == part.part.name)["units"]
    assert units == part.units


@pytest.mark.parametrize("data", ["digits", "parquet:cifar10"])
def test_a_checkpoint_from_which_two_studies_start_is_one_unit(make_transfer, publish, noise, data):
    factors = {"norm": ("bn", "gn"), "weight_std": (False, True), "finetune": ("full", "scratch")}
    contrast = Contrast("transfers", GN_WS, BN, {"finetune": "full"})
    studies = []
    for shots, images in ((5, "digits"), (10, data)):
        study = make_transfer(
            name=f"at-{shots}", factors=factors, only=(GN_WS, BN), primary=(contrast,),
            start={"upstream": "upstream", "upstream_seeds": 3, "shots": shots, "data": images},
        )  # fmt: skip
        studies.append(load.load(publish(study, lambda cell: 0.6 + 0.01 * noise(cell, "acc"))))
    (part,) = found(studies, "gn-ws-transfers").parts
    assert [one.n for one in part.evidence] == [3, 3]
    names = data if data == "digits" else f"digits and {data}"
    assert part.units == {"upstream checkpoint": {names: 3}}
    assert part.counted == "3 upstream checkpoints in all"


def test_a_tiny_batch_is_judged_at_equal_examples_and_at_equal_updates_apart(make_study, publish, noise):
    """BN falls at equal examples and gains at equal updates: no part outvotes another."""
    said = {}
    for budget, fall in ((Budget(examples=3072), 0.1), (Budget(steps=48), 0.0)):
        study = make_study(name=budget.kind, budget=budget)

        def acc(cell, fall=fall):
            bn = cell.settings.norm == "bn" and not cell.settings.weight_std and cell.settings.batch_size == 4
            told = {"test_acc": 0.8 + 0.001 * noise(cell, "acc") - (fall - 0.05) * bn}
            spent = {"steps": 48} if cell.budget.kind == "steps" else {}
            return {"measured": told, "spent": spent}

        said[budget.kind] = load.load(publish(study, acc))
    entry = found(list(said.values()), "bn-fails-at-tiny-batch")
    answers = {part.part.name: part.answer for part in entry.parts}
    assert answers == {
        "BN at the smallest batch minus the largest, equal examples": "supported",
        "GN at the smallest batch minus the largest, equal examples": "supported",
        "BN at the smallest batch minus the largest, equal updates": "contradicted",
        "GN at the smallest batch minus the largest, equal updates": "supported",
        "BN with few images per statistic minus many, optimizer fixed": "not comparable",
    }
    assert (entry.answer, entry.decided) == ("mixed", "4 of 5 parts decided")
    for kind in said:
        assert found(said[kind], "bn-fails-at-tiny-batch").decided == "2 of 5 parts decided"


def write_bench(folder, layouts, ratios=(2.0, 0.9), group="arms of r50x1, batch 32, 64 px, float32"):
    """A bench in which gn+ws takes `ratios` times as long as bn: on torch's kernels, and on our own."""
    rounds = [1.0, 1.02, 0.98, 1.01]
    told = {"bn": rounds}
    for name, ratio in zip(("gn+ws torch", "gn+ws fastest"), ratios, strict=True):
        told[name] = [ratio * each * (1 + 0.001 * n) for n, each in enumerate(rounds)]
    info = {"rounds_s": told, "layouts": layouts, "model": "r50x1", "side": 64}
    row = {"fullname": "bench/test_arms.py::test_arms[32]", "group": group, "extra_info": info}
    folder.mkdir(parents=True)
    machine = {"cpu_model": "AMD EPYC", "gpu": None, "threads": 2, "torch": "2.15.0"}
    text = json.dumps({"machine_info": machine, "benchmarks": [row]})
    (folder / "arms-torch-2.15.0.json").write_text(text)


@pytest.mark.parametrize(
    ("layouts", "ratio", "answer", "reason"),
    [
        ({"bn": "nhwc", "gn+ws": "nhwc"}, 2.0, "supported", "both in nhwc"),
        ({"bn": "nhwc", "gn+ws": "nhwc"}, 0.8, "contradicted", "both in nhwc"),
        ({"bn": "nhwc", "gn+ws": "nhwc"}, 1.015, "undecided", "beyond 2 % only"),  # one process is no other
        ({"bn": "nhwc", "gn+ws": "nchw"}, 2.0, "not comparable", "layouts differ: gn+ws in nchw, bn in nhwc"),
        ({"bn": "nhwc", "gn+ws torch": "nchw"}, 2.0, "supported", "each in its better layout"),
        (None, 2.0, "not comparable", "the layouts are not recorded"),
    ],
)
def test_a_claim_on_cost_reads_benches_and_compares_like_with_like(tmp_path, layouts, ratio, answer, reason):
    write_bench(tmp_path / "bench" / "a-device", layouts, (ratio, 0.5))
    entry = found([], "gn-ws-costs-time", read_benches([tmp_path]))
    stock, own = entry.evidence
    assert (stock.answer, entry.answer) == (answer, answer) and reason in stock.reason
    assert stock.estimate == pytest.approx(1 / ratio, rel=0.01)
    assert (own.answer, own.reason) == ("not comparable", "our own kernels against the stock ones of bn")


def test_seconds_that_runs_of_a_study_took_are_no_evidence_on_cost(make_study, publish, noise):
    study = make_study(budget=Budget(seconds=2))
    slow = load.load(
        publish(study, lambda cell: {"spent": {"train_s": 2.0 + 5 * (cell.settings.norm == "gn")}})
    )
    entry = found(slow, "gn-ws-costs-time")
    assert entry.answer == "not comparable" and entry.lacking == ("images per second, GN+WS over BN",)


def test_claims_without_arguments_reads_studies_released_ones_and_benches(
    planted, tmp_path, monkeypatch, capsys
):
    planted(0.054, 0.056)
    (tmp_path / "results" / "released").mkdir(parents=True)
    (tmp_path / "made-up").rename(tmp_path / "results" / "released" / "made-up")
    planted(0.0, 0.0, name="own")
    (tmp_path / "own").rename(tmp_path / "results" / "own")
    write_bench(tmp_path / "results" / "bench" / "a-device", {"bn": "nhwc", "gn+ws": "nhwc"})
    monkeypatch.chdir(tmp_path)
    assert main(["claims", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["claims"]
    sources = {one["study"] for claim in told for one in claim["evidence"]}
    assert sources == {"made-up", "own", "a-device"}
    of_cost = next(claim for claim in told if claim["id"] == "gn-ws-costs-time")
    assert of_cost["answer"] == "supported"
    assert of_cost["parts"][0]["units"] == {"timing": {"": 1}}


def test_a_command_prints_each_line_of_a_claim_on_a_line_of_its_own(planted, tmp_path, capsys):
    planted(0.054, 0.056)
    store = Store(tmp_path / "made-up")
    show(None, answer_verdict(store, None)[1], False)
    verdict = capsys.readouterr().out
    assert main(["claims", "--results", str(tmp_path)]) == 0
    for said in (verdict, capsys.readouterr().out):
        assert "\\n" not in said
        assert any(line.startswith("    Study made-up, gn+ws") for line in said.splitlines())


def test_an_arm_that_a_study_fixes_is_named_too(make_study, publish, noise):
    fixed = {"norm": "gn", "weight_std": True, "batch_size": 64}
    dose = Contrast("dose", {"mixup": 0.1}, {"mixup": 0.0}, {})
    study = make_study(factors={"mixup": (0.0, 0.1)}, fixed=fixed, primary=(dose,), aa={"mixup": 0.1})
    entry = found(
        load.load(publish(study, lambda cell: 0.8 + 0.01 * noise(cell, "a"))), "gn-ws-halves-throughput"
    )
    assert [one.arms for one in entry.evidence] == ["gn+ws"]


def test_the_table_has_every_claim_and_no_laptop_wears_the_name_of_bit(planted):
    results = planted(0.054, 0.056)
    read = entries(Recorded([results]))
    frame = ledger(read).frame
    assert set(frame["claim"]) == {claim.claim for claim in claims()}
    for line in sentences(read, with_evidence=True):
        assert "not a BiT result" in line
    assert not any("BiT" in value for column in ("study", "arms", "part") for value in frame[column])
    assert len(record(read)) == len(claims())


def test_studies_are_found_once_wherever_a_folder_is_named(planted, tmp_path):
    planted(0.0, 0.0)
    assert find_studies([tmp_path, tmp_path / "made-up", tmp_path]) == [tmp_path / "made-up"]
