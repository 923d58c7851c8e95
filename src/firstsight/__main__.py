"""``python -m firstsight`` is the command line."""

from firstsight.cli import entry

if __name__ == "__main__":
    raise SystemExit(entry())
