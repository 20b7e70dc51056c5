"""What traffik needs of a request of Django REST framework: Django's own, refused as DRF refuses."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from rest_framework import exceptions

from traffik.responses import rejections
from traffik.responses.rejections import Rejection
from traffik_django.adapter import HTTPAdapter

__all__ = ["APIThrottled", "DRFAdapter", "drf"]


class APIThrottled(rejections.Throttled, exceptions.Throttled):
    """A refused request of an API view, which DRF renders as it renders all errors."""

    def __init__(self, rejection: Rejection) -> None:
        exceptions.Throttled.__init__(self, rejection.retry_after, rejection.detail)
        self.detail = exceptions.ErrorDetail(rejection.detail, self.default_code)  # DRF would add the wait once more
        self.status_code = rejection.status
        self.rejection = rejection


class DRFAdapter(HTTPAdapter):
    """For `rest_framework.request.Request`."""

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        raise APIThrottled(rejection)


drf = DRFAdapter()
