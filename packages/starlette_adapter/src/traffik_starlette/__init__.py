"""traffik for Starlette and FastAPI.

The throttles of `traffik` work here by themselves once this package is installed. Below are the same throttles typed
for Starlette's connections, a decorator for endpoints, a pure ASGI middleware, the error that a refusal raises with a
handler for it, and what tells FastAPI's OpenAPI document about all that.
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
