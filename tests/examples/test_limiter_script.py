"""The script works as described, in the expected time."""

import re
import time

from examples import limiter_script

SAID = """\
ada gets 'letter 1', 2 more at once
ada gets 'letter 2', 1 more at once
ada gets 'letter 3', 0 more at once
ada waits
ada gets 'letter 4', 2 more at once
ada gets 'letter 5', 1 more at once
ada prints 700 pages, 300 left
ada may not print 700 pages, 300 left
ada prints 300 pages, 0 left
"""


def test_it_waits_for_its_emails_and_refuses_a_book(capsys):
    began = time.monotonic()
    limiter_script.main()
    took = time.monotonic() - began
    assert re.sub(r" \d+ ms", "", capsys.readouterr().out) == SAID
    assert took >= 0.4
