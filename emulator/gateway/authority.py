"""The local certificate authority, and the certificates of the emulator's own listeners.

Whoever trusts it trusts the holder of its key. So it is bound to the names that are served here
(name constraints), signs no further authorities (path length 0), and its key is its owner's alone.
"""

import ipaddress
import ssl
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emulator import private_files
from emulator.gateway.plain_http import ServerContext
from emulator.settings import SettingError, Settings

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca.key"

API_NAMES = ("api.unsandbox.com", "unsandbox.com")
"""The cloud's names: of the API, and of the portal, which has the same routes here."""

SERVED_NAMES = (
    *API_NAMES,
    "*.on.unsandbox.com",
    "localhost",
    "*.on.localhost",
    "127.0.0.1",
    "::1",
)
"""What every certificate of a listener is for."""


_EVERY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - no certificate is for these
_SUBTREES = frozenset({"unsandbox.com", "localhost", "127.0.0.0/8", "::1/128"})
"""What the authority may sign for: these names, those below them, and these networks."""

_AUTHORITY_LIFETIME = timedelta(days=5 * 365)
_AUTHORITY_RENEWAL = timedelta(days=365)
_LEAF_LIFETIME = timedelta(days=30)
_LEAF_RENEWAL = timedelta(days=15)
_SKEW = timedelta(days=1)
"""Certificates begin this much earlier: the clocks of clients may be behind."""

Now = Callable[[], datetime]


def wall_time() -> datetime:
    """The time that clients check certificates against, which is not the emulator's own clock."""
    return datetime.now(UTC)


def served_names(settings: Settings) -> tuple[str, ...]:
    """What the API's listener of an emulator answers to."""
    further = {settings.host, *settings.allowed_hosts} - _EVERY_ADDRESS
    return (*SERVED_NAMES, *sorted(further - set(SERVED_NAMES)))


class Authority:
    """A key pair that signs certificates, and its own certificate; `load` gets one."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, now: Now
    ) -> None:
        self._key = key
        self._certificate = certificate
        self._now = now

    @classmethod
    def of(cls, settings: Settings) -> "Authority":
        """The one that an emulator of these settings uses; raises SettingError as `load`."""
        return cls.load(settings.ca_dir, served_names(settings))

    @classmethod
    def load(cls, directory: Path, names: Iterable[str] = (), now: Now = wall_time) -> "Authority":
        """The authority of `directory`, made there on first use.

        Its certificate is renewed a year before it ends, and when it does not cover `names`, which
        are allowed beside SERVED_NAMES. The key stays, so those who trusted the earlier certificate
        still do.

        Raises:
            SettingError: a file cannot be used, or others may read the key.
        """
        with private_files.locked(directory):
            key = _load_key(directory / KEY_FILE)
            file = directory / CERTIFICATE_FILE
            present = _load_certificate(file, key) if file.exists() else None
            wanted = _SUBTREES | {_subtree(name) for name in names if not _is_covered(name)}
            if present is None or _is_outdated(present, wanted, now()):
                permitted = wanted if present is None else wanted | _permitted(present)
                present = _self_signed(key, permitted, now())
                private_files.write(file, present.public_bytes(Encoding.PEM), 0o644)
        return cls(key, present, now)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate that clients have to trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    def server_context(self, names: Sequence[str]) -> ssl.SSLContext:
        """For a listener that answers to `names`: host names, wildcards, addresses.

        Its certificate is kept in memory and lasts 30 days; after half of them there is another.
        """
        current = self._context(names)
        renewal = self._now() + _LEAF_RENEWAL

        def choose(
            connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
        ) -> None:
            nonlocal current, renewal
            if self._now() >= renewal:
                current, renewal = self._context(names), self._now() + _LEAF_RENEWAL
            connection.context = current

        context = current
        context.sni_callback = choose
        return context

    def _context(self, names: Sequence[str]) -> ssl.SSLContext:
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), names)
        with tempfile.NamedTemporaryFile() as file:  # mode 0600; ssl reads nothing but files
            file.write(_pem(key) + certificate.public_bytes(Encoding.PEM))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _issue(self, key: ec.EllipticCurvePublicKey, names: Sequence[str]) -> x509.Certificate:
        now = self._now()
        builder = (
            _builder("unsandbox emulator", now, _LEAF_LIFETIME)
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        return builder.sign(self._key, hashes.SHA256())


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    content = private_files.read(path)
    if content is None:
        made = ec.generate_private_key(ec.SECP256R1())
        private_files.write(path, _pem(made))
        return made
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingError(f"{path} is not the key of a certificate authority made here")
    return key


def _load_certificate(path: Path, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise SettingError(
            f"{path} is not a certificate; remove it to have it made again"
        ) from None
    if certificate.public_key() != key.public_key():
        raise SettingError(f"{path} does not belong to {KEY_FILE}; remove it to have it made again")
    return certificate


def _is_outdated(certificate: x509.Certificate, wanted: frozenset[str], now: datetime) -> bool:
    end = certificate.not_valid_after_utc
    return now >= end - _AUTHORITY_RENEWAL or not wanted <= _permitted(certificate)


def _permitted(certificate: x509.Certificate) -> frozenset[str]:
    subtrees = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    return frozenset(str(name.value) for name in subtrees.permitted_subtrees or ())


def _self_signed(
    key: ec.EllipticCurvePrivateKey, permitted: frozenset[str], now: datetime
) -> x509.Certificate:
    name = "unsandbox emulator, local authority"
    builder = (
        _builder(name, now, _AUTHORITY_LIFETIME)
        .issuer_name(_common_name(name))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        # Not critical: clients that know no constraints (mbed TLS) would refuse it altogether.
        .add_extension(
            x509.NameConstraints([_general_name(name) for name in sorted(permitted)], None),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _builder(name: str, now: datetime, lifetime: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    """A host name, an address or a network, as certificates hold it; raises SettingError."""
    kind = ipaddress.ip_network if "/" in name else ipaddress.ip_address
    try:
        return x509.IPAddress(kind(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise SettingError(f"{name!r} is no name that a certificate can hold") from None


def _subtree(name: str) -> str:
    try:
        return str(ipaddress.ip_network(name))
    except ValueError:
        return name.removeprefix("*.").lower()


def _is_covered(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        name = "." + name.lower()
        return name.endswith((".unsandbox.com", ".localhost"))
    return any(address in ipaddress.ip_network(tree) for tree in _SUBTREES if "/" in tree)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
