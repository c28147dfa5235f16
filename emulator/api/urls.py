"""URLs in answers: as the cloud's for who knows us by its name, else as we were reached."""

from urllib.parse import urlsplit

from emulator.api.call import Call
from emulator.emulator import Emulator
from emulator.gateway.authority import API_NAMES

_CLOUD = f"wss://{API_NAMES[0]}"
_WEB = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def websocket_url(emulator: Emulator, call: Call, path: str) -> str:
    """Where a client that asked as `call` did opens a WebSocket at `path`."""
    public = urlsplit(emulator.settings.public_url)
    if public.scheme:
        return f"{_SCHEMES[public.scheme]}://{public.netloc}{path}"
    host = call.headers.get("host", "")
    if urlsplit(f"//{host}").hostname in API_NAMES:
        return f"{_CLOUD}{path}"
    return f"{_SCHEMES[call.scheme]}://{host}{path}"


def service_url(emulator: Emulator, call: Call, label: str) -> str:
    """Where a client that asked as `call` did reaches a service of this host label."""
    public = urlsplit(emulator.settings.public_url)
    host = urlsplit(f"//{call.headers.get('host', '')}")
    if public.scheme:
        port = f":{public.port}" if public.port else ""
        return f"{public.scheme}://{label}.on.localhost{port}"
    if host.hostname in API_NAMES:
        return f"https://{label}.on.{API_NAMES[1]}"
    return f"{_WEB[call.scheme]}://{label}.on.localhost:{host.port or _PORTS[call.scheme]}"
