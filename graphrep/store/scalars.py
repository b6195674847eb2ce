"""Figures of a training by step, in event files that TensorBoard shows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from graphrep.errors import InputError
from graphrep.store import files


class Write(Protocol):
    """Takes the figures of a step by name."""

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        """Add them to the file; they are on disk at the end of the block at the latest."""


@contextmanager
def written(folder: Path) -> Iterator[Write]:
    """A file of its own in a folder, which may hold those of earlier runs: TensorBoard joins them by step.

    Raises:
        InputError: TensorBoard is not installed.
        StoreError: the place cannot be written.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        fix = 'pip install "graphrep[train]", or set watch.scalars: false'
        raise InputError("TensorBoard", found="none", where="watch.scalars", fix=fix) from None
    with files.storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        writer = EventFileWriter(str(folder))

    def write(step: int, figures: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    try:
        yield write
    finally:
        with files.storing(folder):
            writer.close()
