"""The command line in this process, which is much faster than one process for each command."""

from __future__ import annotations

import pytest


@pytest.fixture
def run(capfd):
    """Runs ``uml-tf`` and returns what it printed, standard error included."""
    from uml_tf.cli.main import main

    def command(*arguments, expect=0):
        with pytest.raises(SystemExit) as ended:
            main.main([*map(str, arguments)], prog_name="uml-tf")
        printed = "".join(capfd.readouterr())
        assert (ended.value.code or 0) == expect, printed
        return printed

    return command
