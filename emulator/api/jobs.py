"""`/jobs`: what became of an execution."""

from emulator.api.call import Call, Reply
from emulator.emulator import Emulator


async def get_job(emulator: Emulator, call: Call) -> Reply:
    """The sender's own job; another account's does not exist for it."""
    return Reply(emulator.jobs.get(call.path["id"], call.account))
