"""`python -m luna.embedded up|down|run|exec|status|start|stop|dump|restore|addresses`."""

import argparse
import sys
from pathlib import Path

from luna.embedded import commands
from luna.embedded.addresses import var_dir
from luna.embedded.processes import EmbeddedError
from luna.embedded.secrets import VarDirError

COMMANDS = {
    "up": (commands.up, "start the whole platform in the background"),
    "down": (commands.down, "stop everything"),
    "run": (commands.run, "run the whole platform in the foreground"),
    "status": (commands.status, "print the running processes"),
    "start": (commands.start, "start PostgreSQL and Redis only"),
    "addresses": (commands.addresses, "print the URLs of PostgreSQL and Redis, with passwords"),
    "stop": (commands.stop_services, "stop PostgreSQL and Redis"),
}
FILE_COMMANDS = {
    "dump": (commands.dump, "write the database into a file"),
    "restore": (commands.restore, "restore the database from such a file"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m luna.embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, (_, description) in COMMANDS.items():
        verbs.add_parser(name, help=description)
    execute = verbs.add_parser("exec", help="run a command on the platform, started for it if necessary")
    execute.add_argument("--keep", action="store_true", help="do not stop a platform that was started for it")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    for name, (_, description) in FILE_COMMANDS.items():
        verbs.add_parser(name, help=description).add_argument("file", type=Path)
    supervise = verbs.add_parser("supervise")  # started by `up` in the background
    supervise.add_argument("url")
    supervise.add_argument("fds", type=int, nargs="+")
    arguments = parser.parse_args()
    var = var_dir()
    try:
        if arguments.verb == "exec":
            sys.exit(commands.execute(var, arguments.command, keep=arguments.keep))
        elif arguments.verb in FILE_COMMANDS:
            FILE_COMMANDS[arguments.verb][0](var, arguments.file)
        elif arguments.verb == "supervise":
            commands.supervise(var, fds=arguments.fds, url=arguments.url)
        else:
            COMMANDS[arguments.verb][0](var)
    except (EmbeddedError, VarDirError) as error:
        sys.exit(str(error))
    except OSError as error:
        in_var = str(error.filename or "").startswith(str(var))
        sys.exit(str(VarDirError(var, error)) if in_var else f"Luna cannot continue: {error}.")


if __name__ == "__main__":
    main()
