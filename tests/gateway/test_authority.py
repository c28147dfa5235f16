import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from emulator.gateway.authority import SERVED_NAMES, Authority, served_names
from emulator.settings import SettingError
from tests.server import settings

START = datetime.now(UTC)
CONCRETE_NAMES = [name.replace("*", "my-app") for name in SERVED_NAMES]


class Wall:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return START + self.ahead


@contextmanager
def listening(context: ssl.SSLContext) -> Iterator[int]:
    """A TLS server that answers whatever it is sent with a greeting; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet_all, args=(listener, context), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _greet_all(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        with raw:
            try:
                with context.wrap_socket(raw, server_side=True) as secured:
                    if secured.recv(4096):
                        secured.sendall(b"hello")
            except OSError:
                continue


def greeting(port: int, name: str, pem: bytes) -> tuple[bytes, dict[str, object]]:
    """What the server says to a client that trusts `pem` alone, and its certificate."""
    context = ssl.create_default_context(cadata=pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        closing(socket.create_connection(("127.0.0.1", port), 10)) as raw,
        context.wrap_socket(raw, server_hostname=name) as secured,
    ):
        assert secured.selected_alpn_protocol() == "http/1.1"
        certificate = secured.getpeercert()
        assert certificate is not None
        secured.sendall(b"hi")
        return secured.recv(100), dict(certificate)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.load(tmp_path / "ca")


def test_a_client_that_trusts_it_reaches_every_served_name(authority: Authority) -> None:
    with listening(authority.server_context(SERVED_NAMES)) as port:
        for name in CONCRETE_NAMES:
            said, _ = greeting(port, name, authority.certificate_pem)
            assert said == b"hello"


@pytest.mark.parametrize(
    "name", ["example.com", "on.unsandbox.com", "a.b.on.localhost", "10.0.0.1"]
)
def test_another_name_is_refused_by_the_client(authority: Authority, name: str) -> None:
    with (
        listening(authority.server_context(SERVED_NAMES)) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        greeting(port, name, authority.certificate_pem)


@pytest.mark.parametrize("name", ["example.com", "com", "notunsandbox.com", "10.0.0.1"])
def test_nothing_else_can_be_vouched_for(authority: Authority, name: str) -> None:
    """Whoever steals the key can still not pose as another site."""
    with (
        listening(authority.server_context([name])) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"),
    ):
        greeting(port, name, authority.certificate_pem)


_S_CLIENT = ("openssl", "s_client", "-verify_return_error")
_CURL = ("curl", "-sS", "--http0.9", "https://api.unsandbox.com/", "--connect-to")


def test_openssl_and_curl_trust_it_too(authority: Authority, tmp_path: Path) -> None:
    pem = tmp_path / "trusted.pem"
    pem.write_bytes(authority.certificate_pem)
    with listening(authority.server_context(SERVED_NAMES)) as port:
        for name in CONCRETE_NAMES:
            check = "-verify_ip" if name[-1] == "1" else "-verify_hostname"
            done = subprocess.run(
                [*_S_CLIENT, "-connect", f"127.0.0.1:{port}", "-CAfile", str(pem), check, name],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
            )  # fmt: skip
            assert "Verify return code: 0 (ok)" in done.stdout, name
        reached = subprocess.run(
            [*_CURL, f"api.unsandbox.com:443:127.0.0.1:{port}", "--cacert", str(pem)],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    assert (reached.stdout, reached.stderr) == ("hello", "")


def test_the_key_is_its_owner_s_alone_and_lies_beside_the_certificate(tmp_path: Path) -> None:
    authority = Authority.load(tmp_path / "new" / "ca")
    files = {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new/ca").iterdir()
    }
    assert files == {"ca.key": 0o600, "ca.pem": 0o644}
    assert (tmp_path / "new/ca/ca.pem").read_bytes() == authority.certificate_pem


def test_it_is_made_once_even_by_many_at_a_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Authority.load(tmp_path / "ca").certificate_pem, range(16)))
    assert len(set(made)) == 1


def test_a_renewed_certificate_is_trusted_by_those_who_trusted_the_old(tmp_path: Path) -> None:
    wall = Wall()
    old = Authority.load(tmp_path, now=wall).certificate_pem
    wall.ahead = timedelta(days=4 * 365 - 1)
    assert Authority.load(tmp_path, now=wall).certificate_pem == old
    wall.ahead = timedelta(days=4 * 365 + 1)
    assert Authority.load(tmp_path, now=wall).certificate_pem != old
    renewed = Authority.load(tmp_path)
    with listening(renewed.server_context(SERVED_NAMES)) as port:
        assert greeting(port, "localhost", old)[0] == b"hello"


def test_a_listener_that_runs_for_long_gets_new_certificates(tmp_path: Path) -> None:
    wall = Wall()
    wall.ahead = timedelta(days=-20)
    authority = Authority.load(tmp_path, now=wall)
    with listening(authority.server_context(SERVED_NAMES)) as port:
        _, first = greeting(port, "localhost", authority.certificate_pem)
        _, again = greeting(port, "localhost", authority.certificate_pem)
        wall.ahead = timedelta(days=-4)
        _, later = greeting(port, "localhost", authority.certificate_pem)
    assert first["serialNumber"] == again["serialNumber"] != later["serialNumber"]


def test_further_names_widen_it_and_stay(tmp_path: Path) -> None:
    narrow = Authority.load(tmp_path).certificate_pem
    wide = Authority.load(tmp_path, ["emulator", "192.168.7.7", "api.localhost"])
    assert wide.certificate_pem != narrow
    assert Authority.load(tmp_path).certificate_pem == wide.certificate_pem
    with listening(wide.server_context([*SERVED_NAMES, "emulator", "192.168.7.7"])) as port:
        for name in ("emulator", "192.168.7.7", "localhost"):
            assert greeting(port, name, wide.certificate_pem)[0] == b"hello"


@pytest.mark.parametrize("host", ["192.168.7.7", "0.0.0.0", "::"])  # noqa: S104
def test_the_address_that_is_listened_on_is_vouched_for(tmp_path: Path, host: str) -> None:
    chosen = settings(tmp_path, host=host, allowed_hosts="emulator.test")
    authority = Authority.of(chosen)
    with listening(authority.server_context(served_names(chosen))) as port:
        for name in ("192.168.7.7" if host[0] == "1" else "127.0.0.1", "emulator.test"):
            assert greeting(port, name, authority.certificate_pem)[0] == b"hello"


def test_it_can_sign_no_further_authority(authority: Authority) -> None:
    certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Authority.load(tmp_path)
    (tmp_path / "ca.key").chmod(0o640)
    with pytest.raises(SettingError, match="chmod 600"):
        Authority.load(tmp_path)


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path, name: str) -> None:
    Authority.load(tmp_path)
    (tmp_path / name).write_bytes(b"mine\n")
    with pytest.raises(SettingError, match=name):
        Authority.load(tmp_path)
    assert (tmp_path / name).read_bytes() == b"mine\n"


def test_a_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    pem = Authority.load(tmp_path / "other").certificate_pem
    Authority.load(tmp_path / "ca")
    (tmp_path / "ca" / "ca.pem").write_bytes(pem)
    with pytest.raises(SettingError, match=r"does not belong to ca\.key"):
        Authority.load(tmp_path / "ca")


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="Not a directory"):
        Authority.load(tmp_path / "file" / "ca")
