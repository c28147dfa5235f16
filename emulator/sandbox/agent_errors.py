"""What can go wrong between emulator and agent.

AgentError
├── AgentLost           the stream ended or broke the protocol; nothing more will come
├── ChannelClosed       this side closed the channel, or it had ended before
└── Refused             the agent said no: `errno` and `text`
    ├── SpawnFailed     the program did not start
    ├── FileRefused     the file was not written or read
    └── ConnectFailed   the connection or listener was not made
"""


class AgentError(Exception):
    """The root of them all."""


class AgentLost(AgentError):
    """The agent cannot be spoken to any more; its sandbox has to go."""


class ChannelClosed(AgentError):
    """The channel was closed here, or has ended."""


class Refused(AgentError):
    """The agent's ERROR: a Linux errno and a text for people."""

    def __init__(self, errno: int, text: str) -> None:
        super().__init__(f"{text} (errno {errno})")
        self.errno = errno
        self.text = text


class SpawnFailed(Refused):
    """The program did not start, or the agent gave its channel up."""


class FileRefused(Refused):
    """The file was not written or read."""


class ConnectFailed(Refused):
    """The connection or listener was not made, or broke."""


class ProtocolViolation(Exception):
    """A frame no honest agent sends; inside the client only, where it becomes `AgentLost`."""
