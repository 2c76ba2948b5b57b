"""Local learning: bounded, agreeing reports add up, and a report taken back was never there."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.content.mails import looked_at, mail

from mailward.content.local import STEP, Lesson, empty, features, learned


def lesson(text: str, spam: bool, score: float = 1.0) -> Lesson:
    message, source, evidence = looked_at(mail(text))
    return Lesson(spam, score, features(message, source.hop, evidence))


WANTED = [f"Minutes of meeting {n}: the pump was mended and the roof of house {n} is next." for n in range(20)]


def test_one_report_moves_a_score_by_one_step_at_most() -> None:
    """One mistaken or hostile report turns nothing: not the message itself, and no other."""
    one = lesson("Special offer on garden chairs this week only", True, score=0.0)
    model = learned([one])
    assert 0 < model.correction(one.features) <= STEP
    assert all(abs(model.correction(lesson(text, False).features)) <= STEP for text in WANTED)


def test_reports_that_agree_add_up() -> None:
    """Similar mail reported again and again crosses any threshold."""
    reports = [lesson(f"Special offer {n} on garden chairs this week only", True, score=0.0) for n in range(30)]
    assert learned(reports).correction(reports[0].features) > 5.0


def test_one_hostile_report_among_many_turns_nothing() -> None:
    """After twenty reports of wanted mail, one report of such a mail as spam moves it by one step at most."""
    honest = [lesson(text, False, score=6.0) for text in WANTED]
    target = lesson(WANTED[0], True, score=6.0)
    before = learned(honest).correction(target.features)
    after = learned([*honest, target]).correction(target.features)
    assert before < -STEP
    assert after <= STEP


def test_what_is_already_known_is_not_learned() -> None:
    """A report that agrees with a sure score changes nothing."""
    sure = lesson("Special offer", True, score=14.0)
    assert not learned([sure]).table["weight"].any()


@given(st.lists(st.tuples(st.sampled_from(WANTED), st.booleans()), min_size=1, max_size=8), st.data())
@settings(max_examples=25, deadline=None)
def test_a_report_taken_back_was_never_there(reports: list[tuple[str, bool]], data: st.DataObject) -> None:
    """Undo is exact, bit for bit, wherever the report stood."""
    lessons = [lesson(text, spam) for text, spam in reports]
    gone = data.draw(st.integers(0, len(lessons) - 1))
    rest = lessons[:gone] + lessons[gone + 1 :]
    assert np.array_equal(learned(iter(rest)).table, learned(one for i, one in enumerate(lessons) if i != gone).table)
    packed = [Lesson.unpacked(one.packed()) for one in rest]
    assert np.array_equal(learned(packed).table, learned(rest).table)


def test_no_reports_say_nothing() -> None:
    """An empty model corrects nothing."""
    assert empty().correction(lesson("hello", True).features) == 0.0
