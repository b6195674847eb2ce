"""A training shown while it runs: what ``fit`` calls with every step moves a bar, or prints a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from graphrep.pipeline import context
from graphrep.pipeline.processes import is_first
from graphrep.store import scalars, tables

if TYPE_CHECKING:
    from graphrep.embed.gnn.training import Step


@contextmanager
def shown(progress: context.Progress) -> Iterator[Callable[[Step], None]]:
    """``report=`` of ``fit``: a stage of the progress for each training, from its first step to its last."""
    with ExitStack() as stack:
        moved: list[context.Step] = []

        def report(step: Step) -> None:
            if not moved:
                moved.append(stack.enter_context(progress.stage("train", step.of - step.number + 1)))
            moved[0](line(step))
            if step.number == step.of:
                moved.clear()
                stack.close()

        yield report


@contextmanager
def watched(run: context.Run, ds: str) -> Iterator[Callable[[Step], None]]:
    """:func:`shown`, and with ``watch.scalars`` written for TensorBoard too: ``scalars/ds=<day>/training-<number>``."""
    with shown(run.progress) as show, ExitStack() as stack:
        if not (run.config.watch.scalars and is_first()):
            yield show
            return
        place, opened = tables.partition(run.warehouse, tables.SCALARS, ds), ExitStack()
        stack.enter_context(opened)
        writers: list[scalars.Write] = []
        ended = True

        def report(step: Step) -> None:
            nonlocal ended
            show(step)
            if ended:
                opened.close()
                writers.append(opened.enter_context(scalars.written(place / f"training-{len(writers) + 1}")))
            ended = step.number == step.of
            writers[-1](step.number, {"loss": step.loss, "anchors per second": step.anchors_per_second})

        yield report


def line(step: Step) -> str:
    """Loss, speed and time left.

    >>> from graphrep.embed.gnn.training import Step
    >>> line(Step(number=30, of=100, loss=7.25, anchors_per_second=1234.5, seconds_left=95.2))
    'step 30 of 100, loss 7.250, 1,234 anchors/s, 1:35 left'
    """
    minutes, seconds = divmod(round(step.seconds_left), 60)
    speed = f"{step.anchors_per_second:,.0f} anchors/s"
    return f"step {step.number:,} of {step.of:,}, loss {step.loss:.3f}, {speed}, {minutes}:{seconds:02d} left"
