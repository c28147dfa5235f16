"""What a person finds in a session beside its shell; nothing here needs a network."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import docker
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.agent import Agent, Spawn
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import INPUT_DIRECTORY, Catalogue
from emulator.sandbox.shells import ENVIRONMENT, IMAGE
from tests.sandbox.agent_process import scenario
from tests.sandbox.session_container import on_terminal, session_agent
from tests.sandbox.terminal import Terminal

TOOLS = (
    "awk bc bzip2 cc curl file find gcc git grep gzip htop ip jq less lsof make nano nc node npm "
    "npx openssl patch pip ps python rsync screen sed socat sqlite3 ss ssh strace sudo tar tmux "
    "tree unzip vi watch wget xxd xz zip"
)


@asynccontextmanager
async def session() -> AsyncIterator[Agent]:
    client = docker.from_env()
    try:
        image = Images(client, Catalogue.load(RUNTIMES)).image(IMAGE)
        if not image.exists(client):
            pytest.skip(f"{IMAGE}: its image is not built here")
        async with session_agent(client, image.reference) as agent:
            yield agent
    finally:
        client.close()


async def output(agent: Agent, script: str) -> str:
    """What a script writes, which must end well."""
    argv = ["bash", "-euc", f"exec 2>&1\n{script}"]
    spawn = Spawn(
        argv=argv, env=ENVIRONMENT, cwd=INPUT_DIRECTORY, uid=0, gid=0, output_limit=1 << 20
    )
    ended = await agent.spawn(spawn).collect()
    assert ended.exit.code == 0, ended.stdout.decode()
    return ended.stdout.decode()


@scenario
async def test_the_usual_tools_are_there() -> None:
    async with session() as agent:
        missing = f"for tool in {TOOLS}; do command -v $tool >/dev/null || echo $tool; done"
        assert await output(agent, missing) == ""
        assert "BEGIN CERTIFICATE" in await output(agent, "head /etc/ssl/certs/ca-certificates.crt")


@scenario
async def test_a_c_program_is_compiled() -> None:
    async with session() as agent:
        program = '#include <stdio.h>\nint main(void) { puts("compiled"); }\n'
        built = f"cat > x.c <<'end'\n{program}end\nmake -s x\n./x"
        assert await output(agent, built) == "compiled\n"


INSTALLED = {
    "apt-get": """
        mkdir -p package/DEBIAN package/usr/bin
        printf '#!/bin/sh\\necho it runs\\n' > package/usr/bin/hello-here
        chmod +x package/usr/bin/hello-here
        chown -R 1000:1000 package/usr/bin/hello-here
        cat > package/DEBIAN/control <<-end
Package: hello-here
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.com>
Description: a test
end
        dpkg-deb --build package
        sudo apt-get install --yes ./package.deb
    """,
    "pip": """
        printf '[project]\\nname="hello-here"\\nversion="1"\\n' > pyproject.toml
        printf '[project.scripts]\\nhello-here = "hello_here:main"\\n' >> pyproject.toml
        printf 'def main():\\n    print("it runs")\\n' > hello_here.py
        pip install --no-index --no-build-isolation .
    """,
    "npm": """
        echo '{"name":"hello-here","version":"1.0.0","bin":{"hello-here":"x.js"}}' > package.json
        printf '#!/usr/bin/env node\\nconsole.log("it runs")\\n' > x.js
        npm install --global .
    """,
}


@pytest.mark.parametrize("script", INSTALLED.values(), ids=INSTALLED)
@scenario
async def test_packages_can_be_installed(script: str) -> None:
    async with session() as agent:
        await output(agent, script)
        assert await output(agent, "hello-here") == "it runs\n"


def shows(text: str) -> Callable[[Terminal], bool]:
    return lambda terminal: any(text in line for line in terminal.lines)


@pytest.mark.parametrize(
    ("multiplexer", "prefix", "attach"),
    [("tmux", "\x02", ["tmux", "attach"]), ("screen", "\x01", ["screen", "-r"])],
)
@scenario
async def test_a_multiplexer_keeps_what_runs_in_it(
    multiplexer: str, prefix: str, attach: list[str]
) -> None:
    async with session() as agent:
        terminal = Terminal(agent.spawn(on_terminal(multiplexer)))
        await terminal.until(lambda it: it.before_cursor.endswith("# "))
        await terminal.type_line("echo $((40 + 2)) Grüße")
        await terminal.until(shows("42 Grüße"))
        await terminal.press(f"{prefix}d")
        assert (await terminal.end()).code == 0
        again = Terminal(agent.spawn(on_terminal(*attach)))
        await again.until(shows("42 Grüße"))
