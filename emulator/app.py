"""The ASGI applications, one a listener; each reads like a table of contents."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from emulator.api.dispatch import Dispatcher
from emulator.api.table import check_table
from emulator.control.routes import control_routes
from emulator.emulator import Emulator
from emulator.gateway.authority import API_NAMES, served_names
from emulator.gateway.hosts import Hosts
from emulator.gateway.ingress import Ingress
from emulator.injection import FaultInjection
from emulator.listeners import Listeners, serving
from emulator.middleware import LOOPBACK_HOSTS, HostGuard, RequestRecord
from emulator.services.directory import ServiceDirectory


def api_app(emulator: Emulator) -> ASGIApp:
    """The API listener; raises SpecError when contract and handlers do not fit."""
    check_table(emulator.spec)
    return _api(emulator, (*LOOPBACK_HOSTS, *API_NAMES, *emulator.settings.allowed_hosts))


def ingress_of(emulator: Emulator) -> Ingress:
    """The gateway of services, which share the listeners of the API."""
    directory = ServiceDirectory(emulator.services)
    hosts = Hosts(directory, (*LOOPBACK_HOSTS, *API_NAMES, *emulator.settings.own_hosts))
    return Ingress(hosts, emulator.reach, emulator.clock, emulator.journal.record_passage)


def inner_app(emulator: Emulator) -> ASGIApp:
    """The inner listener: the API for programs in sandboxes, under its own names alone."""
    return _api(emulator, API_NAMES)


def _api(emulator: Emulator, hosts: Sequence[str]) -> ASGIApp:
    """The API under these names."""
    return chain(
        middleware=[
            Middleware(RequestRecord, journal=emulator.journal),
            Middleware(HostGuard, hosts=hosts),
            Middleware(
                FaultInjection, rules=emulator.faults, spec=emulator.spec, clock=emulator.clock
            ),
        ],
        app=Dispatcher(emulator),
    )


def chain(middleware: Sequence[Middleware], app: ASGIApp) -> ASGIApp:
    """`app` behind `middleware`, the first of them outermost.

    Starlette's own application would add layers that route and catch errors once more: a quarter
    of what a request costs here.
    """
    for make, args, options in reversed(middleware):
        app = make(app, *args, **options)
    return app


def admin_app(emulator: Emulator, tls_address: str) -> Starlette:
    """The admin listener: /_emulator/*, for loopback only; it tells where the API has TLS."""
    app = Starlette(
        middleware=[
            Middleware(RequestRecord, log="emulator.control.access"),
            Middleware(HostGuard, hosts=LOOPBACK_HOSTS),
        ],
        routes=control_routes(emulator),
    )
    app.state.tls_address = tls_address
    return app


@asynccontextmanager
async def serving_all(emulator: Emulator, listeners: Listeners) -> AsyncIterator[None]:
    """Serve the API, with and without TLS, and the admin surface for the block."""
    api = api_app(emulator)
    context = emulator.authority.server_context(served_names(emulator.settings))
    admin = admin_app(emulator, listeners.addresses.tls)
    async with AsyncExitStack() as stack:
        ingress = ingress_of(emulator)
        await stack.enter_async_context(serving(api, listeners.api, ingress=ingress))
        await stack.enter_async_context(serving(api, listeners.tls, context, ingress))
        await stack.enter_async_context(serving(admin, listeners.admin))
        inside = emulator.authority.server_context(API_NAMES)
        await stack.enter_async_context(serving(inner_app(emulator), emulator.inner, inside))
        stack.push_async_callback(emulator.sessions.close)  # while clients can still be told
        stack.push_async_callback(emulator.services.close)
        stack.callback(emulator.logs.end_streams)
        yield
