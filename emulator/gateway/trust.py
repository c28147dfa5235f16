"""CA certificates for sandboxes: those of their image, and the emulator's own.

They lie on a volume that is mounted read-only where the image has its own, so that whatever reads
the system's certificates, one by one or as a bundle, trusts the emulator too.
"""

import asyncio
import hashlib

from docker.types import Mount

from emulator.sandbox.agent import AgentLost, Spawn
from emulator.sandbox.engine import ContainerSpec, Engine
from emulator.sandbox.images import Images
from emulator.sandbox.limits import MIB, Limits
from emulator.sandbox.starting import passing

DIRECTORY = "/etc/ssl/certs"
BUNDLE = f"{DIRECTORY}/ca-certificates.crt"
OWN = f"{DIRECTORY}/unsandbox-emulator.pem"

_LIMITS = Limits(memory_bytes=256 * MIB, pids=32)
_ADD = f"cat {OWN} >> {BUNDLE} && openssl rehash {DIRECTORY}"


class Trust:
    """Volumes with certificates, one for each image that they are asked for."""

    def __init__(self, engine: Engine, images: Images, certificate: bytes) -> None:
        self._engine = engine
        self._images = images
        self._certificate = certificate
        self._filling: dict[str, asyncio.Task[None]] = {}

    async def mount(self, named: str) -> Mount:
        """The volume of a named image, filled; raises EngineError or AgentError."""
        image = self._images.image(named)
        # The instance is in the name: another one may remove what is its own.
        content = hashlib.sha256(self._certificate).hexdigest()[:16]
        name = f"unsandbox-trust-{self._engine.instance}-{image.digest}-{content}"
        filling = self._filling.get(name)
        if filling is None or (filling.done() and filling.exception() is not None):
            work = self._fill(name, image.reference, named)
            filling = self._filling[name] = asyncio.create_task(work)
        await asyncio.shield(filling)
        return Mount(DIRECTORY, name, type="volume", read_only=True)

    async def _fill(self, name: str, image: str, runtime: str) -> None:
        """The engine copies what the image has there when a container first mounts a volume."""
        await self._engine.create_volume(name)
        spec = ContainerSpec(
            image=image,
            agent_volume=self._images.agent_volume.reference,
            runtime=runtime,
            limits=_LIMITS,
            options={"mounts": [Mount(DIRECTORY, name, type="volume")]},
        )
        async with passing(self._engine, spec) as agent:
            await agent.write_file(OWN, self._certificate, uid=0, gid=0)
            environment = {"PATH": "/usr/bin:/bin"}
            command = Spawn(
                argv=["sh", "-c", _ADD], env=environment, uid=0, gid=0, output_limit=MIB
            )
            ended = await agent.spawn(command).collect()
        if ended.exit.status != 0:
            complaint = ended.stderr.decode("utf-8", "replace").strip()
            raise AgentLost(f"certificates could not be added for {runtime}: {complaint}")
