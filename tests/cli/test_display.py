"""Progress of a command whose output is not a terminal."""

from __future__ import annotations

from uml_tf.cli import display
from uml_tf.cli.display import TerminalDisplay


def test_a_long_stage_writes_a_line_a_minute_where_no_bar_is_shown(capfd, monkeypatch):
    seconds = 0.0
    monkeypatch.setattr(display.time, "monotonic", lambda: seconds)
    with TerminalDisplay() as shown:
        done = shown.stage("reading test", 10)
        for count in range(1, 11):
            seconds += 25.0
            done(count)
    assert capfd.readouterr().err.splitlines() == [
        "reading test: 3 of 10",
        "reading test: 6 of 10",
        "reading test: 9 of 10",
        "reading test: 10",
    ]
