"""URLs of brokers, and where the secrets come from."""

from pathlib import Path

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.mqtt.endpoint import (
    Endpoint,
    Login,
    TlsFiles,
    login_from_env,
    parse_broker_url,
    read_login,
    tls_from_env,
)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("mqtt://broker", Endpoint(host="broker", port=1883)),
        ("mqtt://broker:1884/", Endpoint(host="broker", port=1884)),
        ("mqtts://broker", Endpoint(host="broker", port=8883, tls=TlsFiles())),
        ("mqtts://[::1]:8884", Endpoint(host="::1", port=8884, tls=TlsFiles())),
        ("unix:/run/a b/mqtt.sock", Endpoint(unix=Path("/run/a b/mqtt.sock"))),
        ("unix:///run/mqtt.sock", Endpoint(unix=Path("/run/mqtt.sock"))),
    ],
)
def test_a_url_is_read(text: str, endpoint: Endpoint) -> None:
    assert parse_broker_url(text) == endpoint
    assert parse_broker_url(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "broker:1883",
        "http://broker",
        "mqtt://",
        "mqtt://b:99999",
        "mqtt://b:x",
        "mqtts://b/path",
        "mqtts://b?ca=x",
        "unix:relative",
    ],
)
def test_what_is_no_url_of_a_broker_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_broker_url(text)
    assert "mqtt" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["mqtts://me:hunter2@broker", "mqtts://me@broker", "mqtt://:hunter2@b:99999"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_broker_url(text)
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_the_given_certificates_are_used() -> None:
    files = TlsFiles(ca=Path("/ca.pem"))
    assert parse_broker_url("mqtts://broker", tls=files).tls == files
    assert parse_broker_url("mqtt://broker", tls=files).tls is None


def test_a_login_is_read_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_text("me:pass:word \nsecond line\n")
    file.chmod(0o600)
    login = read_login(file)
    assert login == Login("me", "pass:word ")
    assert "pass" not in repr(login)


@pytest.mark.parametrize("content", [b"", b"only-a-name", b":no-user", b"\xff:x"])
def test_a_file_without_a_login_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "login"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UsageError):
        read_login(file)


def test_a_login_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_text("me:secret\n")
    file.chmod(0o644)
    with pytest.raises(UsageError) as caught:
        read_login(file)
    assert caught.value.hint == f"chmod 600 {file}"
    with pytest.raises(UsageError):
        read_login(tmp_path / "missing")


def test_login_and_certificates_come_from_the_environment() -> None:
    env = {
        "AGENTORCHESTR_BROKER_USER": "me",
        "AGENTORCHESTR_BROKER_PASSWORD": "secret",
        "AGENTORCHESTR_BROKER_CA": "/ca.pem",
    }
    assert login_from_env(env) == Login("me", "secret")
    assert login_from_env({}) is None
    assert tls_from_env(env) == TlsFiles(ca=Path("/ca.pem"))
    with pytest.raises(UsageError):
        login_from_env({"AGENTORCHESTR_BROKER_PASSWORD": "secret"})


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for files in (TlsFiles(ca=tmp_path / "none.pem"), TlsFiles(ca=junk), TlsFiles(cert=junk)):
        with pytest.raises(UsageError, match="pem"):
            files.context()
    with pytest.raises(UsageError):
        TlsFiles(key=junk).context()
