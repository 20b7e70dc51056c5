"""`ThrottledMixin`: throttles in front of a class-based view, sync or async."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from traffik.model.rates import Rate
from traffik.throttles import Throttle
from traffik_django.bases import check_bases
from traffik_django.decorator import throttled

if TYPE_CHECKING:
    from django.http import HttpRequest

    class _Base:  # and not View: stubs give each view its own kind of response
        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Base = object

__all__ = ["ThrottledMixin"]


class ThrottledMixin(_Base):
    """Put it before `View` among the base classes.

        class Search(ThrottledMixin, ListView):
            throttles = ["10/s; 1000/hour"]

    Attributes:
        throttles: one of those in `throttled`, or several. Each view class has its own quota for its rates.
        throttle_options: the keyword arguments of `throttled`.

    Raises:
        ConfigurationError: it comes after `View` among the base classes.
        TypeError: `throttled` does not take the throttles.
    """

    throttles: ClassVar[Throttle[Any] | Rate | str | Sequence[Throttle[Any] | Rate | str]] = ()
    throttle_options: ClassVar[Mapping[str, Any]] = {}
    _throttled: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_bases(cls, ThrottledMixin, "dispatch")
        if cls.throttles:
            given = (cls.throttles,) if isinstance(cls.throttles, Throttle | Rate | str) else cls.throttles
            cls._throttled = staticmethod(throttled(*given, **cls.throttle_options))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().dispatch
        if not self.throttles:
            return view(request, *args, **kwargs)
        return type(self)._throttled(view)(request, *args, **kwargs)
