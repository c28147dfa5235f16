"""All mutants."""

from contract.mutants.faults.answers import ANSWERS
from contract.mutants.faults.authentication import AUTHENTICATION
from contract.mutants.faults.images import IMAGES, SNAPSHOTS
from contract.mutants.faults.jobs import JOBS
from contract.mutants.faults.limits import INJECTED, LIMITS
from contract.mutants.faults.programs import PROGRAMS
from contract.mutants.faults.servers import SERVERS
from contract.mutants.faults.services import SERVICES
from contract.mutants.faults.sessions import SESSIONS, SHELL, STREAMS
from contract.mutants.faults.sudo import SUDO
from contract.mutants.faults.tenancy import TENANCY

__all__ = ["MUTANTS"]

MUTANTS = {
    mutant.name: mutant
    for mutant in (
        *SERVERS,
        *AUTHENTICATION,
        *SUDO,
        *TENANCY,
        *LIMITS,
        *ANSWERS,
        *JOBS,
        *PROGRAMS,
        *SESSIONS,
        *SHELL,
        *STREAMS,
        *SERVICES,
        *SNAPSHOTS,
        *IMAGES,
        *INJECTED,
    )
}
"""By name, in the order of the report."""
