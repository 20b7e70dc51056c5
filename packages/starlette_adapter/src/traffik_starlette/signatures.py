"""Signatures as FastAPI reads them, to find out what to hand over; and how to ask it for more."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["ask_for", "signature_of"]


def signature_of(endpoint: Callable[..., Any]) -> inspect.Signature:
    """The endpoint's signature, with its annotations evaluated if they can be."""
    try:
        return inspect.signature(endpoint, eval_str=True)
    except NameError:  # an annotation that is only there for type checkers
        return inspect.signature(endpoint)


def ask_for(signature: inspect.Signature, name: str, **options: Any) -> inspect.Signature:
    """The signature with one more parameter, that is handed over by its name.

    Args:
        signature: of the endpoint.
        name: of the new parameter.
        options: the annotation and the default of the new parameter.
    """
    asked = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, **options)
    parameters = list(signature.parameters.values())
    rest = [each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*(each for each in parameters if each not in rest), asked, *rest])
