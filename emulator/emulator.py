"""The parts of a running emulator, put together once; handlers reach everything through it."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from emulator.auth import Authenticator
from emulator.clock import Clock
from emulator.faults import FaultRules
from emulator.gateway.authority import Authority
from emulator.gateway.reach import Reach
from emulator.jobs import Jobs
from emulator.journal import Journal
from emulator.limits import RateLimits, Slots
from emulator.logbook import LogBook
from emulator.readiness import Readiness
from emulator.runs import Runs
from emulator.sandbox.compile_cache import CompileCache
from emulator.sandbox.engine import Engine
from emulator.sandbox.execution import Executor
from emulator.sandbox.images import Images
from emulator.sandbox.network import Network
from emulator.sandbox.pool import Pool
from emulator.sandbox.runtimes import Catalogue
from emulator.services.changes import Changing
from emulator.services.doors import ServiceDoors
from emulator.services.services import Services
from emulator.services.vault import Vaults
from emulator.sessions.sessions import Sessions
from emulator.settings import Settings
from emulator.spec import Spec
from emulator.store.accounts import AccountStore
from emulator.sudo import Challenges


@dataclass(frozen=True, slots=True)
class Emulator:
    """What handlers may use. `life.py` makes one and takes it down."""

    settings: Settings
    spec: Spec
    clock: Clock
    accounts: AccountStore
    authenticator: Authenticator
    rates: RateLimits
    slots: Slots
    challenges: Challenges
    journal: Journal
    logs: LogBook
    faults: FaultRules
    jobs: Jobs
    catalogue: Catalogue
    images: Images
    engine: Engine
    pool: Pool
    executor: Executor
    networks: Mapping[str, Network]
    runs: Runs
    compiles: CompileCache
    readiness: Readiness
    authority: Authority
    inner: socket.socket
    sessions: Sessions
    services: Services
    service_changes: Changing
    service_doors: ServiceDoors
    reach: Reach
    vaults: Vaults

    def obstacles(self) -> list[str]:
        """Why an execution would not work now; empty when it would."""
        return self.readiness.reasons() + self.pool.troubles()
