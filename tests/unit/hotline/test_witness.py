import pytest

from hotline.audit import presentable
from hotline.web.witness import Memory


def test_a_sight_is_known_for_its_time_and_then_new_again() -> None:
    memory = Memory(keep_s=60)
    assert not memory.knows("call 1", now_s=0)
    memory.keep("call 1", now_s=0)
    assert memory.knows("call 1", now_s=59)
    assert not memory.knows("call 2", now_s=59)
    assert not memory.knows("call 1", now_s=60)


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    memory = Memory(most=2)
    for second, key in enumerate(("a", "b", "a", "c")):
        memory.keep(key, now_s=second)
    assert [memory.knows(key, now_s=4) for key in ("a", "b", "c")] == [True, False, True]


def test_the_audit_keeps_no_number_and_nothing_long() -> None:
    kept = presentable({"q": "rang from 01 99 00 12 34", "code": "PV00001", "text": "x\x00" * 500})
    assert kept == {"q": "rang from •• •• •• •• 34", "code": "PV00001", "text": "x" * 200}


@pytest.mark.parametrize(
    ("name", "asked", "kept"),
    [
        pytest.param("q", "019900", "••••00", id="the beginning of a number"),
        pytest.param("phone", "99 00 12", "•• •• 12", id="a part of one"),
        pytest.param("q", "1234", "1234", id="an extension"),
        pytest.param("q", "T00012", "T00012", id="a terminal"),
        pytest.param("call", "1234567", "1234567", id="the id of a call in a path"),
    ],
)
def test_the_audit_keeps_no_part_of_a_number_that_somebody_looked_for(name: str, asked: str, kept: str) -> None:
    assert presentable({name: asked}) == {name: kept}
