"""Redis and Valkey: the store of a fleet; needs the extra ``traffik[redis]``."""

from traffik.backends.breaker import Breaker
from traffik.backends.denials import DenyCache
from traffik.backends.failures import OnError

try:
    from traffik.backends.redis.backend import RedisBackend
    from traffik.backends.redis.settings import Cluster, Sentinel
except ModuleNotFoundError as error:
    if error.name not in {"hiredis", "redis"}:
        raise
    raise ImportError(f"this store needs {error.name}: pip install 'traffik[redis]'", name=error.name) from error

__all__ = ["Breaker", "Cluster", "DenyCache", "OnError", "RedisBackend", "Sentinel"]
