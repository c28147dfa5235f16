"""What msgspec says of data that does not fit, in this project's form."""

import msgspec


def misfit(error: msgspec.ValidationError) -> str:
    """`run.source: Expected ...` instead of `Expected ... - at `$.run.source``."""
    rule, _, path = str(error).partition(" - at ")
    key = path.strip("`").removeprefix("$").lstrip(".")
    return f"{key}: {rule}" if key else rule
