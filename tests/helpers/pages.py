"""Commands, Python blocks and printed output of Markdown pages."""

import re


def blocks(text: str, language: str) -> list[str]:
    """Return the content of the fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def shell_lines(text: str) -> list[str]:
    """Return the command lines of the ``bash`` and ``console`` blocks, with continuation lines joined.

    >>> shell_lines("```bash\\n# Two lines.\\nmake \\\\\\n    demo\\n```\\n")
    ['make demo']
    """
    lines = [line for block in blocks(text, "bash") for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    lines += [
        line.removeprefix("$ ") for block in blocks(text, "console") for line in block.splitlines() if line[:2] == "$ "
    ]
    return [line for line in lines if line and not line.startswith("#")]


def sessions(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of the ``console`` blocks with the lines below it."""
    parts = [part for block in blocks(text, "console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, output.splitlines()) for command, _, output in (part.partition("\n") for part in parts)]
