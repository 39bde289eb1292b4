"""The `panier` command: runs what is asked for and says why when it cannot."""

from __future__ import annotations

import sys

from panier_cli.errors import Refused, report


def main() -> None:
    words = sys.argv[1:]
    try:
        if words[:1] == ["status"] and set(words[1:]) <= {"--json"}:
            # Asked every half second by whoever waits for the stack: without the parser, which takes longer
            # to load than the answer takes to give.
            from panier_cli import status

            sys.exit(status.run("--json" in words))
        from panier_cli.app import run

        sys.exit(run())
    except Refused as error:
        sys.exit(report(error, "--json" in words))


if __name__ == "__main__":
    main()
