"""LMDB: the store of the workers of one machine, without a server; needs the extra ``traffik[lmdb]``, and POSIX."""

from traffik.backends.breaker import Breaker
from traffik.backends.failures import OnError

try:
    from traffik.backends.lmdb.backend import LMDBBackend
except ModuleNotFoundError as error:
    if error.name == "lmdb":
        raise ImportError("this store needs lmdb: pip install 'traffik[lmdb]'", name=error.name) from error
    if error.name == "fcntl":
        raise ImportError("this store needs POSIX locks, which this system has not", name=error.name) from error
    raise

__all__ = ["Breaker", "LMDBBackend", "OnError"]
