"""A new user's first steps with the extra `wsgi`: a throttled application, with a hit found through the entry point."""

from importlib.metadata import files, version
from wsgiref.util import setup_testing_defaults

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik_wsgi import ThrottleMiddleware, WSGIRequest

shipped = {path.name for path in files("traffik-wsgi") or ()}
assert {"LICENSE", "py.typed"} <= shipped, shipped

throttle = HTTPThrottle(uid="smoke", rate="2/min")


def view(environ, start_response):
    throttle.sync.hit(WSGIRequest(environ))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"admitted"]


def status_of(app) -> str:
    statuses = []
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    setup_testing_defaults(environ)
    app(environ, lambda status, *_: statuses.append(status[:3]))
    return statuses[-1]


store = InMemoryBackend()
answers = [status_of(ThrottleMiddleware(view)) for _ in range(3)]
assert answers == ["200", "200", "429"], answers
print(f"traffik-wsgi {version('traffik-wsgi')}: two requests admitted, the third answered 429")
