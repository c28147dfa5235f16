"""What `network_mode: semitrusted` gives a sandbox: two ways out, and what programs need for them.

The container itself stays without network: both are ports of its loopback, where the agent listens.
"""

from collections.abc import Mapping

from emulator.gateway import inner, proxy, trust
from emulator.gateway.authority import API_NAMES
from emulator.gateway.egress import Egress
from emulator.gateway.inner import Inner
from emulator.gateway.trust import Trust
from emulator.sandbox.agent import Agent
from emulator.sandbox.relay import Relay, Way

_PROXY = f"http://127.0.0.1:{proxy.PORT}"
_DIRECT = ",".join(("localhost", "127.0.0.1", "::1", *API_NAMES))
_PROXIES = {
    "HTTP_PROXY": _PROXY,
    "HTTPS_PROXY": _PROXY,
    "ALL_PROXY": _PROXY,
    "NO_PROXY": _DIRECT,
}

ENVIRONMENT: Mapping[str, str] = {
    **_PROXIES,
    **{name.lower(): value for name, value in _PROXIES.items()},
    "NODE_USE_ENV_PROXY": "1",
    "SSL_CERT_FILE": trust.BUNDLE,
    "REQUESTS_CA_BUNDLE": trust.BUNDLE,
    "CURL_CA_BUNDLE": trust.BUNDLE,
    "NODE_EXTRA_CA_CERTS": trust.OWN,
}
"""Programs read proxies in either case of their names; certificates each in its own way."""


class Semitrusted:
    """The network mode; a `Network`."""

    environment = ENVIRONMENT

    def __init__(self, egress: Egress, api: Inner, trusted: Trust) -> None:
        self._egress = egress
        self._trust = trusted
        self._ways: dict[int, Way] = {proxy.PORT: egress, inner.PORT: api}

    async def require(self) -> None:
        """Return when the egress proxy works; raises Unavailable when there is none."""
        await self._egress.require()

    async def options(self, image: str) -> Mapping[str, object]:
        """Names that lead to the relay, and certificates; raises EngineError or AgentError."""
        return {
            "extra_hosts": dict.fromkeys(API_NAMES, "127.0.0.1"),
            "mounts": [await self._trust.mount(image)],
        }

    async def join(self, container_id: str, agent: Agent) -> Relay:
        """Listen in a container for as long as it lives; raises AgentError."""
        relay = Relay(container_id[:12], self._ways)
        await relay.open(agent)
        return relay
