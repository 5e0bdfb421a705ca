"""Every malformed study file and option of RELIABILITY.md, section 6: refused at the door, in three parts."""

import json
import re

import pytest

from fairtrial.errors import USAGE
from tests.study.malformed import blocks, listing
from tests.study.malformed_cases import CASES, ELSEWHERE, fill
from tests.support.commands import Commands


@pytest.fixture(scope="module")
def commands():
    process = Commands()
    yield process
    process.stop()


# what loads torch comes last: until then a fork of the process costs little
@pytest.mark.parametrize("case", sorted(CASES, key=lambda case: "cuda:7" in str(case)), ids=str)
def test_it_is_refused_with_what_where_and_do(case, commands, tmp_path):
    text = fill(case, tmp_path)
    before = listing(tmp_path)

    code, out, err, cpu_s = commands.run(tmp_path, "run", "./small.py", *case.options)

    assert cpu_s < 5  # CPU: another program's load is no fault of ours
    assert (code, out) == (USAGE, "")
    found = blocks(err)
    assert found and err.count("\n") == 3 * len(found)  # nothing but blocks, so no traceback
    for words in case.says:
        assert re.search(words, err), words
    if case.where:
        line = text[: text.index(case.where)].count("\n") + 1
        assert any(re.search(rf"\bsmall\.py:{line}\b", where) for _, where, _ in found), err
    elif case.options:
        given = {word.partition("=")[0] for word in case.options if word.startswith("--")}
        assert any(option in where or option in what for what, where, _ in found for option in given), err
    assert listing(tmp_path) == before


FIRST = {case.id: case for case in reversed(CASES)}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case is FIRST[case.id] else pytest.mark.soak) for case in CASES],
    ids=str,
)
def test_json_says_the_same(case, commands, tmp_path):
    fill(case, tmp_path)
    given = ("run", "./small.py", *case.options)
    plain = commands.run(tmp_path, *given)

    as_json = commands.run(tmp_path, *given, "--json")

    plain_err, err = (re.sub("0x[0-9a-f]+", "0x", each.err) for each in (plain, as_json))  # addresses
    assert (as_json.code, as_json.out) == (USAGE, "")
    told = [json.loads(line) for line in err.splitlines()]
    assert all(set(problem) == {"code", "what", "where", "do"} for problem in told)
    assert [(each["what"], each["where"], each["do"]) for each in told] == blocks(plain_err)
    assert {problem["code"] for problem in told} == {USAGE}


def test_every_id_has_a_case():
    told = {case.id for case in CASES} | {"C15"} | set(ELSEWHERE)
    assert told == {f"C{number}" for number in range(1, 21)}
