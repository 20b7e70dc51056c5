"""Without its client library, importing a module of pacing is an error that says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
def test_a_missing_client_is_an_error_that_says_what_to_install(client):
    program = f"import sys; sys.modules[{client!r}] = None; import traffik.pacing; import traffik.pacing.{client}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"need {client}: pip install 'traffik-core[{client}]'" in done.stderr.replace("needs", "need")
