"""CA stores in the namespace: each holds what it held, and the local authority.

Programs look in many places: OpenSSL's hashed directory, bundles of the distributions, files that
variables name, and Java's own store.
"""

import glob
import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
)

from emulator.exec.namespace import Covers
from emulator.settings import SettingError

DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/source/anchors")
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
JAVA_STORES = (
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/usr/lib/jvm/*/lib/security/cacerts",
    "/usr/lib/jvm/*/jre/lib/security/cacerts",
    "/opt/*/lib/security/cacerts",
)
BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, Python, Go, Ruby, PHP
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PERL_LWP_SSL_CA_FILE",
)
FURTHER_VARIABLES = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
"""Files of what is trusted beside a store that is built in."""

_OWN_FILE = "unsandbox-emulator.pem"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def trust(authority: bytes, environment: Mapping[str, str], covers: Covers) -> dict[str, str]:
    """Let every store of this machine trust `authority` (PEM); returns variables to set.

    Raises:
        SettingError: there is no store at all.
    """
    directories, bundles = _directories(environment), _bundles(environment)
    if not bundles or not directories:
        raise SettingError("no store of CA certificates is found; install ca-certificates")
    content = bundles[0].read_bytes()
    for directory in directories:
        covers.directory(directory)
        (directory / _OWN_FILE).write_bytes(authority)
        _link_by_hash(directory, authority)
    for bundle in bundles:
        covers.file(bundle, bundle.read_bytes().rstrip() + b"\n" + authority)
    if stores := _java_stores(environment):
        built = _java_store(content + authority)
        for store in stores:
            covers.file(store, built)
    return _variables(environment, str(bundles[0]), str(directories[0] / _OWN_FILE))


def _variables(environment: Mapping[str, str], bundle: str, own: str) -> dict[str, str]:
    """Those that are not set to a file already; such files are bundles themselves."""
    wanted = dict.fromkeys(BUNDLE_VARIABLES, bundle) | dict.fromkeys(FURTHER_VARIABLES, own)
    return {
        name: file for name, file in wanted.items() if not Path(environment.get(name, "")).is_file()
    }


def _directories(environment: Mapping[str, str]) -> list[Path]:
    chosen = environment.get("SSL_CERT_DIR", "").split(":")
    return _distinct(Path(name) for name in (*DIRECTORIES, *chosen) if name and Path(name).is_dir())


def _bundles(environment: Mapping[str, str]) -> list[Path]:
    chosen = (environment.get(name, "") for name in (*BUNDLE_VARIABLES, *FURTHER_VARIABLES))
    return _distinct(Path(name) for name in (*BUNDLES, *chosen) if name and Path(name).is_file())


def _java_stores(environment: Mapping[str, str]) -> list[Path]:
    found = [Path(name) for pattern in JAVA_STORES for name in glob.glob(pattern)]  # noqa: PTH207
    found.append(Path(environment.get("JAVA_HOME", "/")) / "lib/security/cacerts")
    return _distinct(store for store in found if store.is_file())


def _distinct(paths: Iterator[Path]) -> list[Path]:
    return list(dict.fromkeys(path.resolve() for path in paths))


def _link_by_hash(directory: Path, authority: bytes) -> None:
    """Add the link by which OpenSSL finds an authority: HASH.N, N the first that is free."""
    name = subject_hash(x509.load_pem_x509_certificate(authority).subject)
    number = 0
    while os.path.lexists(link := directory / f"{name}.{number}"):
        number += 1
    link.symlink_to(_OWN_FILE)


def subject_hash(subject: x509.Name) -> str:
    """What `openssl x509 -subject_hash` prints for a name of one UTF-8 attribute.

    The first four bytes, turned round, of the SHA-1 of the name's canonical form: in lower case,
    without the header of the outer sequence (X509_NAME_hash).
    """
    canonical = [x509.NameAttribute(part.oid, str(part.value).lower()) for part in subject]
    encoded = x509.Name(canonical).public_bytes()[2:]
    digest = hashlib.sha1(encoded, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _java_store(bundle: bytes) -> bytes:
    """PKCS#12 with Java's mark of trust on each certificate; read without a password."""
    entries = [
        PKCS12Certificate(certificate, f"authority {number}".encode())
        for number, certificate in enumerate(_certificates(bundle))
    ]
    return serialize_java_truststore(entries, NoEncryption())


def _certificates(bundle: bytes) -> Iterator[x509.Certificate]:
    """Those that can be read: a store may hold one that is older than the rules."""
    with warnings.catch_warnings(action="ignore"):
        for match in _PEM.finditer(bundle):
            try:
                yield x509.load_pem_x509_certificate(match[0])
            except ValueError:
                continue
