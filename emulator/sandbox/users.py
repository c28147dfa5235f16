"""Which user a run gets, so that what the kernel counts for each user is each run's own."""

from collections.abc import Iterator

FIRST_UID, LAST_UID = 2000, 2063
"""All of them have the same name in the images' passwd."""


class Users:
    """Two runs have the same user at the same time only when there are more runs than users.

    The kernel counts inotify watches, message queues and pending signals for each user across
    containers. A user is held until its container is clean, or gone.
    """

    def __init__(self) -> None:
        self._holders = dict.fromkeys(range(FIRST_UID, LAST_UID + 1), 0)

    def take(self, last: int | None) -> int:
        """The user that was not given for longest, of those that fewest hold; never `last`."""
        free = (uid for uid in self._others(last) if self._holders[uid] == 0)
        uid = next(free, None) or min(self._others(last), key=self._holders.__getitem__)
        self._holders[uid] = self._holders.pop(uid) + 1
        return uid

    def give_back(self, uid: int) -> None:
        self._holders[uid] -= 1

    def _others(self, last: int | None) -> Iterator[int]:
        return (uid for uid in self._holders if uid != last)
