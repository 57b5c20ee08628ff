"""Runs the program `bobbin` the way a person does."""

import os
import subprocess

from lib.server import BINARY, PATIENCE_S

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def environment(**variables):
    """The environment without anything that configures bobbin, and then `variables`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("BOBBIN_")}
    kept.update(variables)
    return kept


def run(*words, stdin=b"", **variables):
    """Runs it to its end; returns (exit code, standard output, standard error), the outputs as bytes."""
    done = subprocess.run(
        [os.fsencode(BINARY), *(word if isinstance(word, bytes) else word.encode() for word in words)],
        input=stdin,
        capture_output=True,
        timeout=PATIENCE_S,
        env=environment(**variables),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
