"""A graph of steps: order, parallelism, failures, Ctrl-C."""

import signal
import threading
from collections.abc import Callable

import pytest
from pl.errors import Interrupted, PlError, StepsFailed
from pl.steps import Step, run_steps


class Told:
    """What progress was told, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def started(self, name: str) -> None:
        self.words.append(f"started {name}")

    def done(self, name: str, remark: str, duration_s: float) -> None:
        assert duration_s >= 0
        self.words.append(f"done {name} {remark}".strip())

    def failed(self, name: str, error: PlError) -> None:
        self.words.append(f"failed {name}: {error.what}")


def fails(message: str) -> Callable[[], str]:
    def run() -> str:
        raise PlError(message)

    return run


def test_a_step_runs_after_all_that_it_needs() -> None:
    told = Told()
    steps = [
        Step(name="c", run=str, needs=("a", "b")),
        Step(name="a", run=lambda: "remark"),
        Step(name="b", run=str, needs=("a",)),
    ]
    run_steps(steps, told)
    assert told.words == ["started a", "done a remark", "started b", "done b", "started c", "done c"]


def test_steps_that_need_nothing_of_each_other_run_at_once() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def meet() -> str:
        meeting.wait()
        return ""

    run_steps([Step(name=name, run=meet) for name in "abc"], Told())


def test_a_failure_keeps_back_what_needs_it_and_nothing_else() -> None:
    told = Told()
    steps = [
        Step(name="bad", run=fails("it broke")),
        Step(name="other", run=str),
        Step(name="next", run=str, needs=("bad",)),
        Step(name="last", run=str, needs=("next", "other")),
        Step(name="worse", run=fails("this too"), needs=("other",)),
    ]
    with pytest.raises(StepsFailed) as caught:
        run_steps(steps, told)
    assert set(caught.value.failures) == {"bad", "worse"}
    assert "it broke" in str(caught.value)
    assert "not tried, because of that: next, last" in str(caught.value)
    assert "done other" in told.words
    assert "started next" not in told.words


def test_what_is_no_expected_failure_comes_out_as_it_is() -> None:
    def bug() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_steps([Step(name="a", run=bug)], Told())


@pytest.mark.parametrize("needs", [{"a": ("b",)}, {"a": ("b",), "b": ("a",)}, {"a": ("a",)}])
def test_steps_that_could_never_run_are_refused_before_any_runs(needs: dict[str, tuple[str, ...]]) -> None:
    told = Told()
    steps = [Step(name=name, run=str, needs=needed) for name, needed in needs.items()]
    with pytest.raises(ValueError, match="can never run"):
        run_steps([*steps, Step(name="free", run=str)], told)
    assert told.words == []


def test_ctrl_c_begins_nothing_new_and_names_what_was_not_done() -> None:
    told, interrupted = Told(), threading.Event()
    was_told: list[bool] = []

    def press() -> str:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        was_told.append(interrupted.wait(10))
        raise Interrupted("given up")

    steps = [Step(name="first", run=str), Step(name="long", run=press, needs=("first",))]
    with pytest.raises(Interrupted) as caught:
        run_steps([*steps, Step(name="after", run=str, needs=("long",))], told, interrupted=interrupted)
    assert caught.value.exit_status == 130
    assert caught.value.why == "not done: long, after"
    assert "started after" not in told.words
    assert was_told == [True]
