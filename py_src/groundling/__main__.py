"""The command `groundling`, also as python -m groundling."""

import sys


def main() -> int:
    """Import the command line, which takes its time, and run it. Returns its exit code."""
    try:
        from .cli.main import main

        return main()
    except KeyboardInterrupt:  # at the import
        print("groundling: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
