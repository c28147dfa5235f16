"""All mutants."""

from contract.mutants.faults.images import IMAGES, SNAPSHOTS
from contract.mutants.faults.jobs import JOBS
from contract.mutants.faults.keys import KEYS
from contract.mutants.faults.languages import LANGUAGES
from contract.mutants.faults.limits import INJECTED, LIMITS
from contract.mutants.faults.logs import LOGS
from contract.mutants.faults.programs import PROGRAMS
from contract.mutants.faults.requests import REQUESTS
from contract.mutants.faults.servers import SERVERS
from contract.mutants.faults.services import SERVICES
from contract.mutants.faults.sessions import SESSIONS
from contract.mutants.faults.shapes import SHAPES
from contract.mutants.faults.shell import SHELL
from contract.mutants.faults.signatures import SIGNATURES
from contract.mutants.faults.statuses import STATUSES
from contract.mutants.faults.sudo import SUDO
from contract.mutants.faults.tenancy import TENANCY
from contract.mutants.faults.times import TIMES
from contract.mutants.faults.vaults import VAULTS

__all__ = ["MUTANTS"]

MUTANTS = {
    mutant.name: mutant
    for mutant in (
        *SERVERS,
        *KEYS,
        *SIGNATURES,
        *TIMES,
        *SUDO,
        *TENANCY,
        *LIMITS,
        *STATUSES,
        *SHAPES,
        *REQUESTS,
        *JOBS,
        *PROGRAMS,
        *LANGUAGES,
        *SESSIONS,
        *SHELL,
        *LOGS,
        *SERVICES,
        *VAULTS,
        *SNAPSHOTS,
        *IMAGES,
        *INJECTED,
    )
}
"""By name, in the order of the report."""
