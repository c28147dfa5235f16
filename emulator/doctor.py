"""`unsandbox-emulator doctor`: what this machine lacks to run the emulator, and what to do."""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from emulator.gateway.authority import Authority
from emulator.life import chosen_runtimes, open_engine
from emulator.listeners import bind
from emulator.paths import RUNTIMES, SPEC
from emulator.sandbox.images import Images
from emulator.sandbox.limits import MEMORY_PER_VCPU, MIB, machine_memory
from emulator.sandbox.runtimes import Catalogue
from emulator.settings import SettingError, Settings
from emulator.spec import Spec
from emulator.store.secrets import load_key

_DISK_FLOOR = 4 * 1024 * MIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `serious` ones keep the emulator from working."""

    what: str
    good: bool
    told: str
    serious: bool = True

    def __str__(self) -> str:
        mark = "ok" if self.good else "FAIL" if self.serious else "warn"
        return f"{mark:<5} {self.what:<12} {self.told}"


Check = Callable[[Settings], Iterator[Finding]]


def run(settings: Settings, _options: argparse.Namespace) -> int:
    """Print every finding; 1 when a serious one is bad."""
    findings = [finding for check in CHECKS for finding in _findings(check, settings)]
    for finding in findings:
        print(finding)
    return int(any(finding.serious and not finding.good for finding in findings))


def _findings(check: Check, settings: Settings) -> Iterator[Finding]:
    """What a check finds; a setting that stops it is a finding too."""
    try:
        yield from check(settings)
    except SettingError as error:
        yield Finding(check.__name__.strip("_"), good=False, told=str(error))


def _python(_settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("interpreter", sys.version_info >= (3, 11), version)


def _state(settings: Settings) -> Iterator[Finding]:
    load_key(settings.key_file)
    yield Finding("key file", good=True, told=str(settings.key_file))
    Authority.of(settings)
    yield Finding("authority", good=True, told=str(settings.ca_dir))
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free
    told = f"{free // MIB} MiB free at {settings.data_dir}"
    yield Finding("disk", free >= _DISK_FLOOR, told, serious=False)


def _contract(_settings: Settings) -> Iterator[Finding]:
    yield Finding("contract", good=True, told=f"{len(Spec(SPEC).operations)} operations")


def _memory(_settings: Settings) -> Iterator[Finding]:
    total = machine_memory()
    told = f"{total // MIB} MiB; each vCPU of a program may use {MEMORY_PER_VCPU // MIB}"
    yield Finding("memory", total >= MEMORY_PER_VCPU, told, serious=False)


def _ports(settings: Settings) -> Iterator[Finding]:
    addresses = (
        (settings.host, settings.port),
        (settings.host, settings.tls_port),
        (settings.admin_host, settings.admin_port),
    )
    for host, port in addresses:
        try:
            bind(host, port).close()
            yield Finding("port", good=True, told=f"{host}:{port} is free")
        except SettingError as error:
            yield Finding("port", good=False, told=str(error), serious=False)


def _docker(settings: Settings) -> Iterator[Finding]:
    with closing(open_engine("doctor", 2)) as engine:
        info = engine.client.info()
        yield Finding("docker", good=True, told=_engine(info))
        for key, lack in _FEATURES.items():
            if not info.get(key, True):
                yield Finding("docker", good=False, told=lack, serious=False)
        yield from _images(settings, engine.client)


def _engine(info: dict[str, Any]) -> str:
    return (
        f"{info.get('ServerVersion')}, {info.get('Driver')}, "
        f"cgroup v{info.get('CgroupVersion', '?')}, {info.get('NCPU')} CPUs"
    )


_FEATURES = {
    "MemoryLimit": "the engine cannot limit memory",
    "SwapLimit": "the engine cannot limit swap: programs may use more memory than promised",
    "CpuCfsQuota": "the engine cannot limit CPU time",
    "PidsLimit": "the engine cannot limit processes: a fork bomb can hurt this machine",
}


def _images(settings: Settings, client: Any) -> Iterator[Finding]:  # noqa: ANN401
    catalogue = Catalogue.load(RUNTIMES)
    images = Images(client, catalogue, settings.extra_ca)
    for runtime in chosen_runtimes(catalogue, settings.languages):
        present = images.image(runtime.name).exists(client)
        told = f"{runtime.name} is {'built' if present else 'not built yet; `up` builds it'}"
        yield Finding("image", present, told, serious=False)


CHECKS: tuple[Check, ...] = (_python, _contract, _state, _memory, _ports, _docker)
