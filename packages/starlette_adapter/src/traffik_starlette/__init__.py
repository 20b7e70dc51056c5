"""traffik for Starlette and FastAPI.

The throttles of `traffik` work here by themselves once this package is installed. Below are the same throttles typed
for Starlette's connections, a decorator for endpoints, a pure ASGI middleware, and the error that a refusal raises.
"""

from traffik_starlette.decorator import throttled
from traffik_starlette.errors import Throttled
from traffik_starlette.middleware import ThrottleMiddleware
from traffik_starlette.throttles import HTTPThrottle, WebSocketThrottle

__all__ = ["HTTPThrottle", "ThrottleMiddleware", "Throttled", "WebSocketThrottle", "throttled"]
