"""The adapter for Django REST framework: that of Django, with DRF's own error for a refusal."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from rest_framework import exceptions

from traffik.responses import rejections
from traffik.responses.rejections import Rejection
from traffik_django.adapter import HTTPAdapter

__all__ = ["APIThrottled", "DRFAdapter", "drf"]


class APIThrottled(rejections.Throttled, exceptions.Throttled):
    """A refused request of an API view. DRF renders it like all its errors."""

    def __init__(self, rejection: Rejection) -> None:
        exceptions.Throttled.__init__(self, None, rejection.detail)  # with the wait, DRF would say it a second time
        self.wait: int | None = rejection.retry_after
        self.status_code: int = rejection.status
        self.rejection = rejection


class DRFAdapter(HTTPAdapter):
    """For `rest_framework.request.Request`."""

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        raise APIThrottled(rejection)


drf: Final = DRFAdapter()
