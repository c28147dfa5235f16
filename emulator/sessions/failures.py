"""What goes wrong below a session, as answers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.errors import SandboxFailed
from emulator.sandbox.agent import AgentError
from emulator.sandbox.engine import EngineError

logger = logging.getLogger(__name__)


@contextmanager
def failures() -> Iterator[None]:
    """Turn failures of the container, its agent or the engine into SandboxFailed."""
    try:
        yield
    except (AgentError, EngineError) as error:
        logger.warning("a session's container: %s", error)
        raise SandboxFailed(
            "The container of the session does not answer; a new session may work"
        ) from error
