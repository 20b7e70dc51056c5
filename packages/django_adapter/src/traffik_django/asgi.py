"""Django's ASGI application, which counts uploads in bytes as they arrive.

It replaces `django.core.asgi` in the file ``asgi.py`` of a project.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler

from traffik.responses.rejections import Throttled
from traffik_django.adapter import MEMORY, http
from traffik_django.uploads import COUNTED, answer_to, upload_of

__all__ = ["get_asgi_application"]


def get_asgi_application() -> ASGIHandler:
    """Like Django's function of this name, for an application that refuses uploads while Django receives them.

    A throttle of ``TRAFFIK["UPLOADS"]`` gets the request before any middleware runs, so its identifier cannot use the
    user or the session. A refused upload ends the connection.
    """
    django.setup(set_prefix=False)
    return _UploadHandler()


class _UploadHandler(ASGIHandler):
    """Django's ASGI application, which counts the body while Django receives it."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        request, _ = super().create_request(scope, BytesIO())
        if request is None:  # Django answers it
            await super().handle(scope, receive, send)
            return
        upload = upload_of(request)

        async def counted() -> Any:
            message = await receive()
            if message["type"] == "http.request":
                try:
                    await upload.count(len(message.get("body", b"")), last=not message.get("more_body", False))
                except Throttled:
                    return {"type": "http.disconnect"}  # Django gives up the request
            return message

        try:
            await upload.announce()
            await super().handle({**scope, COUNTED: http.memory(request)}, counted, send)
        except Throttled as error:
            if error is not upload.refusal:
                raise
        finally:
            await upload.finish()
        if upload.refusal is not None:
            response = upload.answer or await answer_to(upload).to_async(request)
            if scope.get("http_version", "1.1").startswith("1"):  # HTTP/2 has no such field
                response.headers["Connection"] = "close"
            await self.send_response(response, send)

    def create_request(self, scope: Any, body_file: Any) -> Any:
        request, response = super().create_request(scope, body_file)
        if request is not None and COUNTED in scope:
            request.META[MEMORY] = scope[COUNTED]
        return request, response
