"""What the commands tell the person at the terminal."""


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
