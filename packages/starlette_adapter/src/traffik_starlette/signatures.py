"""Signatures of endpoints, from which FastAPI takes the parameters to pass, and a way to add a parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["ask_for", "signature_of"]


def signature_of(endpoint: Callable[..., Any]) -> inspect.Signature:
    """The endpoint's signature, with its annotations evaluated if they can be."""
    try:
        return inspect.signature(endpoint, eval_str=True)
    except NameError:  # an annotation that is imported only for type checkers
        return inspect.signature(endpoint)


def ask_for(signature: inspect.Signature, name: str, **options: Any) -> inspect.Signature:
    """The signature with one more parameter, passed by name.

    Args:
        signature: the signature of the endpoint.
        name: the name of the new parameter.
        options: the annotation and the default of the new parameter.
    """
    asked = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, **options)
    parameters = list(signature.parameters.values())
    rest = [each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*(each for each in parameters if each not in rest), asked, *rest])
