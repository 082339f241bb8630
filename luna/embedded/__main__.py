"""`python -m luna.embedded`: see `luna.embedded.commands`."""

import sys

from luna.embedded import services
from luna.embedded.addresses import var_dir
from luna.embedded.processes import EmbeddedError

if __name__ == "__main__":
    try:
        print({"start": services.start, "stop": services.stop}[sys.argv[1]](var_dir()))
    except EmbeddedError as error:
        sys.exit(str(error))
