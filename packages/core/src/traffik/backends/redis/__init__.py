"""The store for several machines: Redis or Valkey. Needs the extra ``traffik-core[redis]``."""

from traffik.backends.resilience.breaker import Breaker
from traffik.backends.resilience.denials import DenyCache
from traffik.backends.resilience.failures import OnError

try:
    from traffik.backends.redis.backend import RedisBackend
    from traffik.backends.redis.settings import Cluster, Sentinel
except ModuleNotFoundError as _missing:
    if _missing.name not in {"hiredis", "redis"}:
        raise
    raise ImportError(
        f"this store needs {_missing.name}: pip install 'traffik-core[redis]'", name=_missing.name
    ) from _missing

__all__ = ["Breaker", "Cluster", "DenyCache", "OnError", "RedisBackend", "Sentinel"]
