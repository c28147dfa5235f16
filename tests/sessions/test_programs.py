"""What people do on a session's terminal: editors, pagers, job control, characters, pasting."""

from collections.abc import Callable, Iterator

import docker
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.agent import Agent
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import INPUT_DIRECTORY, Catalogue
from emulator.sandbox.shells import IMAGE
from tests.sandbox.agent_container import Container
from tests.sandbox.agent_process import scenario
from tests.sandbox.session_container import attached, on_terminal, session_container
from tests.sandbox.terminal import Terminal

INTERRUPT, END_OF_INPUT, SUSPEND, ESCAPE, BACKSPACE = "\x03", "\x04", "\x1a", "\x1b", "\x7f"


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    client = docker.from_env()
    try:
        image = Images(client, Catalogue.load(RUNTIMES)).image(IMAGE)
        if not image.exists(client):
            pytest.skip(f"{IMAGE}: its image is not built here")
        with session_container(client, image.reference) as container:
            yield container
    finally:
        client.close()


Seen = Callable[[Terminal], bool]


def line(text: str) -> Seen:
    """A line is exactly this."""
    return lambda terminal: text in terminal.lines


def shows(text: str) -> Seen:
    return lambda terminal: any(text in shown for shown in terminal.lines)


def waits(terminal: Terminal) -> bool:
    return terminal.before_cursor.endswith("# ")


async def shell(agent: Agent) -> Terminal:
    """One that waits for a command."""
    terminal = Terminal(agent.spawn(on_terminal("bash")))
    await terminal.until(waits)
    return terminal


async def begin(terminal: Terminal, command: str) -> None:
    """Type a command that reads the keys that follow, and wait until it does."""
    await terminal.type_line(f"sh -c 'echo it has be''gun; exec {command}'")
    await terminal.until(line("it has begun"))


async def file(agent: Agent, name: str, content: str) -> None:
    path = f"{INPUT_DIRECTORY}/{name}"
    await agent.write_file(path, content.encode(), uid=0, gid=0)


@scenario
async def test_vim_edits_and_saves_a_file(container: Container) -> None:
    async with attached(container) as agent:
        await file(agent, "letter", "Dear all,\nbye\n")
        vim = Terminal(agent.spawn(on_terminal("vim", "letter")))
        await vim.until(shows('"letter" 2L'))
        await vim.press(f"oGrüße 漢字{ESCAPE}")
        await vim.until(line("Grüße 漢字"))
        await vim.press(":wq\r")
        assert (await vim.end()).code == 0
        tree = await agent.read_tree(
            f"{INPUT_DIRECTORY}/letter", uid=0, gid=0, max_files=1, max_bytes=1000
        )
        assert tree.files[0].content.decode() == "Dear all,\nGrüße 漢字\nbye\n"


@scenario
async def test_htop_shows_the_sessions_processes(container: Container) -> None:
    async with attached(container) as agent:
        await agent.spawn(on_terminal("sleep", "4321")).started()
        htop = Terminal(agent.spawn(on_terminal("htop")))
        await htop.until(shows("sleep 4321"))
        await htop.press("q")
        assert (await htop.end()).code == 0


@scenario
async def test_less_turns_pages_and_follows_the_size_of_the_window(container: Container) -> None:
    async with attached(container) as agent:
        await file(agent, "numbers", "".join(f"{number}\n" for number in range(1, 1001)))
        less = Terminal(agent.spawn(on_terminal("less", "numbers")))
        await less.until(lambda it: it.lines[0] == "1" and it.lines[22] == "23")
        await less.press(" ")
        await less.until(lambda it: it.lines[0] == "24" and it.lines[22] == "46")
        await less.press("/^500\r")
        await less.until(lambda it: it.lines[0] == "500")
        less.resize(100, 40)
        await less.press("r")  # repaint: less misses the signal just before it waits for a key
        await less.until(lambda it: it.lines[0] == "500" and it.lines[38] == "538")
        await less.press("q")
        assert (await less.end()).code == 0


@scenario
async def test_a_shell_is_told_the_size_of_its_window(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await terminal.type_line("stty size")
        await terminal.until(line("24 80"))
        terminal.resize(132, 43)
        await terminal.type_line("stty size; echo $COLUMNS columns")
        await terminal.until(line("132 columns"))
        assert "43 132" in terminal.lines


@scenario
async def test_ctrl_c_interrupts(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await begin(terminal, "sleep 1000")
        await terminal.press(INTERRUPT)
        await terminal.until(waits)
        await terminal.type_line("echo status $?")
        await terminal.until(line("status 130"))


@scenario
async def test_ctrl_z_stops_a_job_and_fg_goes_on_with_it(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await begin(terminal, "cat")
        await terminal.type_line("before")
        await terminal.until(lambda it: it.lines.count("before") == 2)
        await terminal.press(SUSPEND)
        await terminal.until(shows("[1]+  Stopped"))
        await terminal.until(waits)
        await terminal.type_line("fg")
        await terminal.until(lambda it: it.lines[it.lines.index("") - 1].startswith("sh -c"))
        await terminal.type_line("after")
        await terminal.until(lambda it: it.lines.count("after") == 2)
        await terminal.press(END_OF_INPUT)
        await terminal.until(waits)
        await terminal.type_line("jobs; echo status $?")
        await terminal.until(line("status 0"))


@scenario
async def test_the_session_ends_though_a_job_runs_in_the_background(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await terminal.type_line("sleep 1000 &")
        await terminal.until(shows("[1] "))
        await terminal.type_line("exit 3")
        assert (await terminal.end()).code == 3


@scenario
async def test_backspace_takes_a_whole_wide_character_away(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await terminal.press(f"echo 漢字é{BACKSPACE}{BACKSPACE}!")
        await terminal.until(lambda it: it.before_cursor.endswith("echo 漢!"))
        await terminal.press("\r")
        await terminal.until(line("漢!"))


@scenario
async def test_a_program_that_edits_no_lines_is_given_characters_as_they_were_left(
    container: Container,
) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await begin(terminal, "cat")
        await terminal.type_line(f"tête-à-tété{BACKSPACE}e")
        await terminal.until(lambda it: it.lines.count("tête-à-téte") == 2)


@scenario
async def test_what_is_typed_at_a_password_prompt_is_not_shown(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await terminal.type_line("stty -echo; echo pass''word:; read it; stty echo; echo ${#it}")
        await terminal.until(line("password:"))
        await terminal.type_line("secret")
        await terminal.until(line("6"))
        assert not shows("secret")(terminal)


@scenario
async def test_what_is_pasted_is_not_run_line_by_line(container: Container) -> None:
    async with attached(container) as agent:
        terminal = await shell(agent)
        await terminal.press(f"{ESCAPE}[200~echo o''ne\recho t''wo\r{ESCAPE}[201~")
        await terminal.until(shows("echo t''wo"))
        await terminal.press("exit 7")
        await terminal.until(shows("exit 7"))
        assert not line("one")(terminal)
        await terminal.press("\r")
        assert (await terminal.end()).code == 7
        assert line("two")(terminal)
