"""The ``graphrep`` command: parse, load the configuration, call one pipeline function, print.

Exit codes: 0 done, 1 failed, 2 bad input, 3 the gate refused the day (yesterday stays served).
"""

from __future__ import annotations

import os
import sys

import typer

from graphrep.cli import about, consistency, days, erase, export, gates, history, logs, maintain, read, releases, uplift
from graphrep.errors import GraphrepError, StoreError, of_system

app = typer.Typer(
    name="graphrep",
    help="From behaviour logs to the embeddings that a livestream ranker looks up.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (days.app, gates.app, logs.app, read.app, erase.app, consistency.app, maintain.app, about.app):
    app.add_typer(part)
app.add_typer(releases.app, name="releases")
app.add_typer(history.app, name="history")
app.add_typer(export.app, name="export")
app.add_typer(uplift.app, name="uplift")
app.add_typer(about.contracts_app, name="contracts")


def main() -> None:
    """Run the command and leave with its exit code; an error is one line."""
    try:
        app(standalone_mode=False)
    except GraphrepError as error:
        print(f"graphrep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has seen enough
        os._exit(1)  # without a flush, which would fail again
    except OSError as error:
        print(f"graphrep: {of_system(error)}", file=sys.stderr)
        sys.exit(StoreError.exit_code)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except typer.Abort:
        print("graphrep: stopped", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("graphrep: stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message"):  # what typer raises for a wrong option or a missing argument
            print(f"graphrep: {error.format_message()}", file=sys.stderr)
            sys.exit(2)
        raise
