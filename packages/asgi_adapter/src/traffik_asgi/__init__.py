"""traffik for plain ASGI, and so for Litestar, Quart and other ASGI frameworks.

It has a middleware, the connections that throttles hit, throttles typed for them, and the response to a refusal.
"""

from traffik_asgi.connections import ASGIRequest, ASGIWebSocket
from traffik_asgi.middleware import ThrottleMiddleware
from traffik_asgi.responses import reply_to
from traffik_asgi.throttles import HTTPThrottle, WebSocketThrottle

__all__ = ["ASGIRequest", "ASGIWebSocket", "HTTPThrottle", "ThrottleMiddleware", "WebSocketThrottle", "reply_to"]
