"""traffik for plain WSGI, and so for Flask, Bottle, Falcon and other WSGI frameworks.

It has a middleware, the request object that throttles hit, a throttle typed for it, and the response to a refusal.
"""

from traffik_wsgi.middleware import ThrottleMiddleware
from traffik_wsgi.requests import WSGIRequest
from traffik_wsgi.responses import reply_to
from traffik_wsgi.throttles import HTTPThrottle

__all__ = ["HTTPThrottle", "ThrottleMiddleware", "WSGIRequest", "reply_to"]
