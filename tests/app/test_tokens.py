"""Signed tokens: only ours, only for their purpose, only for a day, and in one store only."""

import stat
import subprocess
import sys

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from app import tokens
from tests.conftest import ROOT
from transfer import store
from transfer.errors import TokenError


def test_a_token_brings_its_value_back_and_fits_an_address():
    for value in ("", "run/1", "قطط", "a" * 2000):
        token = tokens.sign("downloads", value)
        assert tokens.read("downloads", token) == value
        assert set(token) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
        )


def test_a_token_is_for_one_purpose():
    token = tokens.sign("pictures", "d1")
    with pytest.raises(TokenError, match="expired"):
        tokens.read("downloads", token)


# Not the last one: two of the six bits of a signature's last letter mean nothing.
@pytest.mark.parametrize("position", [0, 3, -2])
def test_a_changed_token_is_refused(position):
    token = tokens.sign("pictures", "d1")
    other = "A" if token[position] != "A" else "B"
    changed = list(token)
    changed[position] = other
    with pytest.raises(TokenError):
        tokens.read("pictures", "".join(changed))


@pytest.mark.parametrize("token", ["", ".", "..", "x", "a.b.c", "\u732b", "x" * 100_000])
def test_nonsense_is_refused(token):
    with pytest.raises(TokenError, match="Open the page again"):
        tokens.read("pictures", token)


@pytest.mark.parametrize(
    ("age", "taken"), [(tokens.LIFETIME - 60, True), (tokens.LIFETIME + 60, False)]
)
def test_a_token_lasts_a_day(age, taken):
    tokens.sign("pictures", "first")  # makes the key

    class Past(TimestampSigner):
        def get_timestamp(self):
            return super().get_timestamp() - age

    key = (store.home() / "secret.key").read_bytes()
    token = URLSafeTimedSerializer(key, salt="pictures", signer=Past).dumps("d1")
    assert isinstance(token, str)
    if taken:
        assert tokens.read("pictures", token) == "d1"
    else:
        with pytest.raises(TokenError):
            tokens.read("pictures", token)


def test_the_key_is_the_owners_alone_and_another_store_has_another(tmp_path, monkeypatch):
    token = tokens.sign("pictures", "d1")
    key = store.home() / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "another"))
    with pytest.raises(TokenError):
        tokens.read("pictures", token)


def test_processes_that_begin_at_once_agree_on_one_key():
    code = (
        "import sys; from app import tokens;"
        "sys.stdin.readline(); print(tokens.sign('pictures', 'd1'))"
    )
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in begun:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    signed = [process.communicate(timeout=60)[0].strip() for process in begun]
    assert [tokens.read("pictures", token) for token in signed] == ["d1"] * 4
    assert [path.name for path in store.home().iterdir()] == ["secret.key"]
