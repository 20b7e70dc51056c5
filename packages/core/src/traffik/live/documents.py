"""The page and the form, as whole documents: their style and script are inside, and nothing else is loaded."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Final

from traffik.live.messages import LiveResponse

__all__ = ["form", "page"]

_HERE: Final = files("traffik.live")
_CSS: Final = (_HERE / "page.css").read_text("utf-8")
_JS: Final = (_HERE / "page.js").read_text("utf-8")
_PAGE: Final = (_HERE / "page.html").read_text("utf-8")
_FORM: Final = (_HERE / "form.html").read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(_CSS)}",
        f"script-src {_hash(_JS)}",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def page(*more: tuple[str, str]) -> LiveResponse:
    """The page. It holds no data; the script fetches that."""
    return _document(200, _PAGE.replace("/*style*/", _CSS).replace("/*script*/", _JS), *more)


def form(status: int, problem: str = "") -> LiveResponse:
    """The form for a token.

    Args:
        status: the HTTP status.
        problem: what was wrong with the last token, as a fixed text.
    """
    return _document(status, _FORM.replace("/*style*/", _CSS).replace("<!--problem-->", problem))


def _document(status: int, text: str, *more: tuple[str, str]) -> LiveResponse:
    return LiveResponse.of(
        status, "text/html; charset=utf-8", text.encode(), ("Content-Security-Policy", _POLICY), *more
    )
