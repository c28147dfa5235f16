"""`unsandbox-emulator ca`: what clients need to trust the emulator."""

import argparse
import shlex
from pathlib import Path

from emulator import private_files
from emulator.exec.trust import BUNDLE_VARIABLES, BUNDLES, FURTHER_VARIABLES
from emulator.gateway.authority import CERTIFICATE_FILE, Authority
from emulator.settings import Settings

BUNDLE_FILE = "bundle.pem"


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Print where the certificate is, or itself, or shell lines for programs started from there."""
    pem = Authority.of(settings).certificate_pem
    if options.pem:
        print(pem.decode(), end="")
    elif options.env:
        print("\n".join(_exports(settings.ca_dir, pem)))
    else:
        print(settings.ca_dir / CERTIFICATE_FILE)
    return 0


def _exports(directory: Path, pem: bytes) -> list[str]:
    """Some variables take the place of what is trusted: they get this machine's bundle as well."""
    bundle = next((Path(name) for name in BUNDLES if Path(name).is_file()), None)
    usual = b"" if bundle is None else bundle.read_bytes().rstrip() + b"\n"
    with private_files.locked(directory):
        private_files.write(directory / BUNDLE_FILE, usual + pem, 0o644)
    files = dict.fromkeys(BUNDLE_VARIABLES, BUNDLE_FILE)
    files |= dict.fromkeys(FURTHER_VARIABLES, CERTIFICATE_FILE)
    return [f"export {name}={shlex.quote(str(directory / file))}" for name, file in files.items()]
