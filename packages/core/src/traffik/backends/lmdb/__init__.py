"""LMDB: a store for the workers of one machine, without a server. Needs POSIX and the extra ``traffik-core[lmdb]``."""

from traffik.backends.resilience.breaker import Breaker
from traffik.backends.resilience.failures import OnError

try:
    from traffik.backends.lmdb.backend import LMDBBackend
except ModuleNotFoundError as _missing:
    if _missing.name == "lmdb":
        raise ImportError("this store needs lmdb: pip install 'traffik-core[lmdb]'", name=_missing.name) from _missing
    if _missing.name == "fcntl":
        raise ImportError("this store needs POSIX locks, which this system does not have", name="fcntl") from _missing
    raise

__all__ = ["Breaker", "LMDBBackend", "OnError"]
