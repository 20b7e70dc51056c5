"""The script works as described, and waits as long as the decision says."""

from examples import limiter_script
from traffik.testing import VirtualClock
from traffik.testing.isolation import use_clock

SAID = """\
ada gets 'letter 1', 2 more at once
ada gets 'letter 2', 1 more at once
ada gets 'letter 3', 0 more at once
ada waits 500 ms
ada gets 'letter 4', 2 more at once
ada gets 'letter 5', 1 more at once
ada prints 700 pages, 300 left
ada may not print 700 pages, 300 left
ada prints 300 pages, 0 left
"""


def test_it_waits_for_its_emails_and_refuses_a_book(capsys, monkeypatch):
    with use_clock(VirtualClock()) as clock:
        monkeypatch.setattr(limiter_script.time, "sleep", lambda seconds: clock.advance(seconds=seconds))
        limiter_script.main()
    assert capsys.readouterr().out == SAID
