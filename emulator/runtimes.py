"""`unsandbox-emulator runtimes`: the images of languages listed, built and pruned."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from emulator.gateway import proxy
from emulator.life import chosen_runtimes, open_engine
from emulator.paths import RUNTIMES
from emulator.sandbox import shells
from emulator.sandbox.engine import Engine
from emulator.sandbox.images import BuildFailed, Images, build_possible
from emulator.sandbox.prune import disk_use, stale
from emulator.sandbox.runtimes import Catalogue, Runtime
from emulator.sandbox.versions import FILE, WORKERS, versions
from emulator.settings import Settings
from emulator.terminal import say

SHOWN_CHARACTERS = 60
"""Of a version, in a line for people."""

OTHERS = (proxy.NAME, shells.IMAGE)
"""Images of no language: the proxy's, built with every language, and that of sessions."""


def build(settings: Settings, options: argparse.Namespace) -> int:
    """Build what is missing of the images named, of the usual languages, or of all there are.

    What cannot be built is told at the end and keeps nothing else back; then the status is 1.
    """
    catalogue = Catalogue.load(RUNTIMES)
    runtimes, others = chosen(catalogue, options.names, everything=options.all)
    with closing(open_engine("build", 2)) as engine:
        images = Images(engine.client, catalogue, settings.extra_ca)
        failures = build_what_can_be(engine, images, settings, runtimes, others)
        missing = lacking(images, failures, runtimes)
    for failure in {str(failure): None for failure in failures.values()}:
        say(failure)
    if missing:
        there = len(runtimes) - len(missing)
        say(f"{there} of {len(runtimes)} languages are there; not: {', '.join(missing)}")
    return 1 if failures else 0


def chosen(
    catalogue: Catalogue, names: Sequence[str], *, everything: bool
) -> tuple[list[Runtime], list[str]]:
    """The languages to build for `names`, and which of OTHERS; raises SettingError."""
    if everything:
        return catalogue.available(), list(OTHERS)
    others = [name for name in names if name in OTHERS]
    languages = [name for name in names if name not in OTHERS]
    runtimes = chosen_runtimes(catalogue, languages) if languages or not others else []
    return runtimes, [proxy.NAME, *others]


def build_what_can_be(
    engine: Engine,
    images: Images,
    settings: Settings,
    runtimes: Iterable[Runtime],
    others: Iterable[str] = (),
) -> Mapping[str, BuildFailed]:
    """Build what can be, with progress; what failed, by reference."""
    steps = images.plan(runtimes, others)
    missing = [step.name for step in steps if not step.present]
    if missing:
        say(f"Building {len(missing)} of {len(steps)} images: {', '.join(missing)}")
    logs = settings.data_dir / "logs"
    return build_possible(engine.client, steps, logs, lambda event: say(str(event)))


def lacking(
    images: Images, failures: Mapping[str, BuildFailed], runtimes: Iterable[Runtime]
) -> dict[str, str]:
    """Why some languages cannot be run after a build, by name."""
    found = {it.name: failures.get(images.image(it.name).reference) for it in runtimes}
    return {name: failure.reason for name, failure in found.items() if failure is not None}


def prune(settings: Settings, options: argparse.Namespace) -> int:
    """Remove images and volumes of other versions, and say what went and how much space it took."""
    catalogue = Catalogue.load(RUNTIMES)
    with closing(open_engine("build", 2)) as engine:
        keep = Images(engine.client, catalogue, settings.extra_ca).references()
        before = disk_use(engine.client)
        for one in stale(engine.client, keep):
            if options.dry_run:
                say(f"would remove {one.name}")
            else:
                reason = one.remove()
                say(f"kept {one.name}: {reason}" if reason else f"removed {one.name}")
        say(f"{max(0, before - disk_use(engine.client)) / 1e6:.0f} MB freed")
    return 0


def list_(settings: Settings, options: argparse.Namespace) -> int:
    """Print every language, and OTHERS: version, size and state of its image, why it lacks one."""
    catalogue = Catalogue.load(RUNTIMES)
    with closing(open_engine("build", WORKERS)) as engine:
        images = Images(engine.client, catalogue, settings.extra_ca)
        sizes = {
            name: images.image(name).size(engine.client)
            for name in (*(it.name for it in catalogue.available()), *OTHERS)
        }
        built = [it for it in catalogue.available() if sizes[it.name] is not None]
        known = versions(engine.client, images, built, settings.data_dir / FILE)
    entries = [_entry(it, sizes.get(it.name), known.get(it.name, "")) for it in catalogue]
    entries += [Entry(name, "image", sizes[name]) for name in OTHERS]
    if options.json:
        say(json.dumps([asdict(entry) for entry in entries], indent=1, ensure_ascii=False))
    else:
        for entry in entries:
            say(str(entry))
    return 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list; `kind` is `language` or `image`, and `image_bytes` None if not built."""

    name: str
    kind: str
    image_bytes: int | None
    version: str = ""
    why_not: str = ""

    def __str__(self) -> str:
        if self.image_bytes is None:
            return f"{self.name:<12} {'not built':<14} {self.why_not}".rstrip()
        size = f"built {self.image_bytes / 1e6:>5.0f} MB"
        return f"{self.name:<12} {size:<14} {self.version[:SHOWN_CHARACTERS]}".rstrip()


def _entry(runtime: Runtime, size: int | None, version: str) -> Entry:
    why_not = runtime.unavailable_reason or ""
    if runtime.available and size is None and runtime.image.official:
        why_not = f"needs its makers' image {runtime.image.official} from a registry"
    return Entry(runtime.name, "language", size, version, why_not)
