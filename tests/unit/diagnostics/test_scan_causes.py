"""Which answers are ranked first for what is known to have gone wrong, and that the benchmark reads cases and scores them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import root_cause
from diagnostics.scan.causes import CausePolicy, rank_causes
from diagnostics.scan.cells import CellIndex, Scope
from diagnostics.snapshot import F32

# Three attributes of 3, 2 and 4 values; each leaf is one combination.
LEAVES = np.array([(a, b, c) for a in range(3) for b in range(2) for c in range(4)], np.int16)
LEVELS = [[str(value) for value in range(count)] for count in (3, 2, 4)]
USUAL = 20.0


def ranked(times: dict[Scope, float], *, policy: CausePolicy | None = None, k: int = 5) -> list[frozenset[Scope]]:
    """The answers where each scope suffers so many times its usual; a later one overrules an earlier one."""
    hit: F32 = np.full(len(LEAVES), USUAL, np.float32)
    for scope, factor in times.items():
        inside = np.all([LEAVES[:, dim] == code for dim, code in scope], axis=0)
        hit[inside] = factor * USUAL
    index = CellIndex(LEAVES, LEVELS, min_terminals=1)
    return rank_causes(index, hit, np.full(len(LEAVES), USUAL, np.float32), k=k, policy=policy)


@pytest.mark.parametrize(
    "scope", [((0, 1),), ((0, 1), (1, 0)), ((0, 2), (1, 1), (2, 3))], ids=["one condition", "two conditions", "three conditions"]
)
def test_the_planted_conjunction_comes_first(scope: Scope) -> None:
    assert ranked({scope: 6.0})[0] == frozenset([scope])


def test_two_values_of_one_dimension_are_one_answer() -> None:
    assert ranked({((2, 1),): 6.0, ((2, 3),): 4.0})[0] == frozenset([((2, 1),), ((2, 3),)])


def test_two_values_under_a_common_condition_are_one_answer() -> None:
    assert ranked({((0, 0), (2, 1)): 6.0, ((0, 0), (2, 3)): 6.0})[0] == frozenset([((0, 0), (2, 1)), ((0, 0), (2, 3))])


def test_all_values_of_a_dimension_are_not_listed_but_left_unsaid() -> None:
    everywhere: dict[Scope, float] = {((0, 0), (1, 0)): 6.0, ((0, 0), (1, 1)): 6.0}
    assert ranked(everywhere)[0] == frozenset([((0, 0),)])


def test_a_cause_that_strikes_unequally_is_told_whole() -> None:
    unequal: dict[Scope, float] = {((0, 0),): 4.0, ((0, 0), (2, 2)): 30.0}
    assert ranked(unequal)[0] == frozenset([((0, 0),)])
    assert ranked(unequal, policy=CausePolicy(temper=1.0))[0] != frozenset([((0, 0),)])


def test_a_neighbour_that_is_as_usual_is_not_drawn_in() -> None:
    assert ranked({((0, 0), (2, 2)): 15.0})[0] == frozenset([((0, 0), (2, 2))])


def test_the_whole_is_an_answer_only_where_there_is_no_other() -> None:
    assert ranked({}) == [frozenset([()])]
    assert frozenset([()]) not in ranked({((0, 0),): 6.0, ((0, 1),): 6.0, ((0, 2),): 6.0})


def test_no_more_answers_than_asked_for_and_none_twice() -> None:
    answers = ranked({((0, 0),): 6.0}, k=3)
    assert len(answers) == len(set(answers)) == 3


def written(folder: Path, cases: int) -> None:
    """Cases in RobustSpot's form: `b` = 1 fails in the last of four minutes, with numbers as that data has them."""
    lines, labels = ["case,min,a,b,extra,value,cnt"], {}
    for case in range(cases):
        for minute in range(4):
            for a in range(3):
                for b in range(4):
                    value = 40 if minute == 3 and b == 1 else 4 + (a + case) % 2
                    lines.append(f"{case},{60 * minute},{a},{b}.0,,{value},200")
        labels[str(case)] = {"timestamp": 180, "causes": [{"b": 1}]}
    (folder / "cases.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (folder / "labels.json").write_text(json.dumps(labels))


def test_the_benchmark_reads_cases_and_scores_every_first_answer(tmp_path: Path) -> None:
    written(tmp_path, cases=12)
    out = tmp_path / "out.json"
    assert root_cause.main([str(tmp_path), "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["cases"] == 12
    assert result["ours"]["top"] == result["plain_scan"]["top"] == [1.0] * 5
    assert result["ours_cross_validated"]["top"] == result["ours_cross_validated"]["leave_one_out"] == [1.0] * 5
    assert result["answers"]["0"]["truth"] == result["answers"]["0"]["answers"][0] == "b=1"


def test_what_is_usual_is_learnt_before_the_failure_in_quiet_minutes(tmp_path: Path) -> None:
    written(tmp_path, cases=1)
    (case,) = root_cause.load(tmp_path)
    case.value[:, 0] *= 10  # an earlier flare
    expected = root_cause.expected_of(case)
    assert expected.min() > 3.9
    assert expected.max() < 5.1


def test_a_fold_is_scored_with_what_the_other_folds_chose() -> None:
    """The first policy is right everywhere but in one case, the second only there: no fold may see its own case."""
    found = np.zeros((2, 20), np.int64)
    found[0, 7] = 5
    found[1, :] = 5
    found[1, 7] = 0
    validated, chosen = root_cause.cross_validated(found, [CausePolicy(0.5, 0.1), CausePolicy(0.9, 0.1)])
    assert validated["leave_one_out"][0] == validated["top"][0] == 0.95
    assert chosen == {"temper=0.5 share=0.1": 1.0}
