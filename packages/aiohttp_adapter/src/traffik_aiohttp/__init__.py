"""traffik for aiohttp.

Once this package is installed, the throttles of `traffik` work with aiohttp. It has `setup`, which gives an
application its store, throttles by route and headers; the same throttles typed for aiohttp's connections; a decorator
for handlers and views; a WebSocket as one object; and the errors that a refusal raises.
"""

from traffik_aiohttp.application import BACKEND, THROTTLES, setup
from traffik_aiohttp.decorator import throttled
from traffik_aiohttp.errors import Throttled, ThrottleDenied, ThrottleUnavailable
from traffik_aiohttp.middleware import add_headers, throttling
from traffik_aiohttp.throttles import HTTPThrottle, WebSocketThrottle
from traffik_aiohttp.uploads import count_uploads
from traffik_aiohttp.websocket import WebSocketConnection

__all__ = [
    "BACKEND",
    "THROTTLES",
    "HTTPThrottle",
    "ThrottleDenied",
    "ThrottleUnavailable",
    "Throttled",
    "WebSocketConnection",
    "WebSocketThrottle",
    "add_headers",
    "count_uploads",
    "setup",
    "throttled",
    "throttling",
]
