"""Commands look for unreachable objects seldom; the library leaves its user's settings alone."""

from __future__ import annotations

SCRIPT = """\
import gc
from click.testing import CliRunner
import uml_tf
from uml_tf.cli.main import main
uml_tf.TrainingConfig
print(gc.get_threshold())
CliRunner().invoke(main, ["registry", "--help"])
print(gc.get_threshold()[0], gc.isenabled())
"""


def test_a_command_collects_seldom_and_the_library_as_its_user_has_it(run_python, tmp_path):
    output, _ = run_python("-c", "import gc; gc.set_threshold(123, 4, 5)\n" + SCRIPT, cwd=tmp_path)
    assert output.splitlines() == ["(123, 4, 5)", "20000 True"]
