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
    "awk bc bzip2 cc clear curl file find gcc git grep gzip htop ip jq less lsof make nano nc node "
    "npm npx openssl patch pip ps python reset rsync screen sed socat sqlite3 ss ssh strace sudo "
    "tar tmux tput tree unzip vi vim watch wget xxd xz zip zstd"
)


CATALOGUE = Catalogue.load(RUNTIMES)
SESSION_IMAGES = sorted({shell.image for shell in CATALOGUE.shells.shells.values()})


@asynccontextmanager
async def session(name: str = IMAGE) -> AsyncIterator[Agent]:
    client = docker.from_env()
    try:
        image = Images(client, CATALOGUE).image(name)
        if not image.exists(client):
            pytest.skip(f"{name}: its image is not built here")
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


def waits(terminal: Terminal) -> bool:
    return terminal.before_cursor.endswith("# ")


@scenario
async def test_the_tab_key_completes_a_commands_arguments() -> None:
    async with session() as agent:
        terminal = Terminal(agent.spawn(on_terminal("bash")))
        await terminal.until(waits)
        await terminal.press("git checko\t")
        await terminal.until(shows("# git checkout"))


@scenario
async def test_the_prompt_and_lists_of_files_are_coloured() -> None:
    async with session() as agent:
        terminal = Terminal(agent.spawn(on_terminal("bash")))
        await terminal.until(waits)
        assert terminal.colour_of("root@") == "green"
        await terminal.type_line("ls -d /usr/lib")
        await terminal.until(lambda it: it.lines[1] == "/usr/lib")
        assert terminal.colour_of("/usr/lib") == "blue"


MULTIPLEXERS = {
    "tmux": ("\x02", ["tmux", "attach"], "tmux-256color"),
    "screen": ("\x01", ["screen", "-r"], "screen-256color"),
}


@pytest.mark.parametrize("multiplexer", MULTIPLEXERS)
@pytest.mark.parametrize("image", SESSION_IMAGES)
@scenario
async def test_a_multiplexer_keeps_what_runs_in_it(image: str, multiplexer: str) -> None:
    prefix, attach, term = MULTIPLEXERS[multiplexer]
    async with session(image) as agent:
        terminal = Terminal(agent.spawn(on_terminal(multiplexer)))
        await terminal.until(waits)
        await terminal.type_line("echo $((40 + 2)) Grüße $(tput colors) $TERM")
        await terminal.until(shows(f"42 Grüße 256 {term}"))
        await terminal.press(f"{prefix}d")
        assert (await terminal.end()).code == 0
        again = Terminal(agent.spawn(on_terminal(*attach)))
        await again.until(shows("42 Grüße"))


@scenario
async def test_colours_of_24_bits_pass_through_tmux() -> None:
    async with session() as agent:
        terminal = Terminal(agent.spawn(on_terminal("tmux")))
        await terminal.until(waits)
        await terminal.type_line(r"printf '\033[38;2;255;100;3m%s\033[m\n' or''ange")
        await terminal.until(shows("orange"))
        assert terminal.colour_of("orange") == "ff6403"
