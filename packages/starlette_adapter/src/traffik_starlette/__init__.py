"""traffik for Starlette and FastAPI.

Once this package is installed, the throttles of `traffik` work with Starlette. It has the same throttles typed for
Starlette's connections, a decorator for endpoints, a pure ASGI middleware, the error that a refusal raises with a
handler for it, and a function that adds throttles to FastAPI's OpenAPI document.
"""

from traffik_starlette.answers import answer_throttled
from traffik_starlette.decorator import throttled
from traffik_starlette.errors import Throttled
from traffik_starlette.middleware import ThrottleMiddleware
from traffik_starlette.openapi import document_throttles
from traffik_starlette.throttles import HTTPThrottle, WebSocketThrottle
from traffik_starlette.uploads import UploadMiddleware

__all__ = [
    "HTTPThrottle",
    "ThrottleMiddleware",
    "Throttled",
    "UploadMiddleware",
    "WebSocketThrottle",
    "answer_throttled",
    "document_throttles",
    "throttled",
]
