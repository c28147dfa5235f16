import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from emulator.exec.trust import subject_hash
from emulator.gateway.authority import Authority


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    Authority.load(tmp_path)
    return tmp_path / "ca.pem"


def test_the_hash_of_the_authority_is_openssl_s(pem: Path) -> None:
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash", "-in", str(pem)],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    assert subject_hash(certificate.subject) == printed.stdout.strip()
