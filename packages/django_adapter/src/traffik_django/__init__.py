"""traffik for Django.

Once this package is installed, the throttles of `traffik` work in views. It has the same throttle typed for Django's
requests, a decorator and a mixin for views, a middleware, the throttles of the settings by name, and the error that a
refusal raises. List ``"traffik_django"`` in INSTALLED_APPS for settings, checks and commands.
"""

from traffik_django.conf import throttles
from traffik_django.decorator import throttled
from traffik_django.errors import Throttled
from traffik_django.limits import HTTPThrottle
from traffik_django.middleware import ThrottleMiddleware
from traffik_django.mixins import ThrottledMixin

__all__ = ["HTTPThrottle", "ThrottleMiddleware", "Throttled", "ThrottledMixin", "throttled", "throttles"]
