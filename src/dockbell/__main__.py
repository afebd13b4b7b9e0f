"""The command `dockbell`, also as `python -m dockbell`."""

import sys

from dockbell.cli.app import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
