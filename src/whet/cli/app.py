"""The ``whet`` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
import traceback

import typer

from whet.cli import (
    adapters,
    audit,
    bench,
    chat,
    check,
    compare,
    curve,
    evaluate,
    fit,
    forgetting,
    gate,
    import_,
    plan,
    predict,
    report,
    resume,
    runs,
    show,
    suspects,
    sweep,
)
from whet.errors import EXIT_OURS, EXIT_USER, Interrupted, UserError
from whet.threads import settle

app = typer.Typer(
    name="whet",
    help="Fine-tune pretrained language models for NLP, and prove whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (
    fit,
    resume,
    check,
    plan,
    bench,
    audit,
    show,
    predict,
    chat,
    evaluate,
    compare,
    gate,
    forgetting,
    adapters,
    report,
    runs,
    import_,
    suspects,
    curve,
    sweep,
)
for module in COMMANDS:
    module.add_to(app)


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 our mistake, 2 the user's, 130 interrupted."""
    settle()
    try:
        app(prog_name="whet")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_USER)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, which is no error of anybody's
        sys.exit(EXIT_OURS)
    except Exception:
        traceback.print_exc()
        print("\nThis is a mistake in whet, not yours. Please report it with the lines above.", file=sys.stderr)
        sys.exit(EXIT_OURS)


if __name__ == "__main__":
    main()
