"""Signed, expiring tokens for the app's own routes, which carry no session of their own."""

import os
import secrets
import time
from functools import lru_cache
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from transfer import store
from transfer.errors import TokenError

LIFETIME = 24 * 3600  # seconds
_HOUR = 3600


def sign(purpose: str, value: str) -> str:
    """Return a URL-safe token that proves that this app handed out `value` for `purpose`."""
    return _serializer(purpose).dumps(value)


def for_this_hour(purpose: str, value: str) -> str:
    """Return the same token for an hour, so that the browser keeps what it has loaded by it."""
    return _of_the_hour(str(store.home()), purpose, value, int(time.time()) // _HOUR)


def read(purpose: str, token: str) -> str:
    """Return the value of a token.

    Raises:
        TokenError: the token was not made by this app for this purpose, or is older than a day.
    """
    try:
        return _serializer(purpose).loads(token, max_age=LIFETIME)
    except BadSignature:
        raise TokenError(
            "This link has expired. Open the page again and use its new link."
        ) from None


@lru_cache(maxsize=64)
def _of_the_hour(_home: str, purpose: str, value: str, _hour: int) -> str:
    return sign(purpose, value)


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_key(), salt=purpose)


def _key() -> bytes:
    """Return the store's secret, made at the first use; only its owner may read it."""
    path = store.home() / "secret.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        partial.touch(mode=0o600)
        partial.write_bytes(secrets.token_bytes(32))
        try:
            os.link(partial, path)  # the first of several processes wins
        except FileExistsError:
            pass
        finally:
            partial.unlink()
        return Path(path).read_bytes()
