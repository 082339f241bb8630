"""Program of a child process that applies JSON Schemas: it answers each line of JSON with one.

Patterns and references of a schema can take unlimited time and memory, and `re` stops all threads of a process while
it searches. The child is isolated from the platform: it needs no settings and has limits of its own.
"""

import json
import resource
import signal
import sys
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

MEMORY_LIMIT_BYTES = 512 * 1024**2
MAX_PROBLEMS = 100  # of one value
MAX_TEXT_LENGTH = 500  # of a message, which may contain the value

Json = dict[str, Any]


def answer(schema: Any, values: list[Any]) -> Json:
    """Return the problem of a schema as `schema`, or those of a value (at most one) as `best` and `all`.

    References to other documents are not resolved.
    """
    try:
        if not values:
            Draft202012Validator.check_schema(schema)
            return {}
        validator = Draft202012Validator(schema, registry=Registry())
        best = best_match(validator.iter_errors(values[0]))
        if best is None:
            return {}
        found = islice(validator.iter_errors(values[0]), MAX_PROBLEMS)
        return {"best": _problem(best), "all": [_problem(each) for each in found]}
    except SchemaError as error:
        return {"schema": error.message[:MAX_TEXT_LENGTH]}
    except Unresolvable as error:
        return {"schema": str(error)[:MAX_TEXT_LENGTH]}
    except RecursionError:
        return {"schema": "the schema refers to itself, or has too many levels."}
    except MemoryError:
        return {"schema": f"the check needs more than {MEMORY_LIMIT_BYTES // 1024**2} MB."}
    except Exception as error:  # such as a reference to a number: check_schema does not follow references
        return {"schema": f"the schema cannot be applied ({type(error).__name__})."}


def _problem(error: ValidationError) -> Json:
    """Return path and message; `missing`: the member that `required` names."""
    missing = []
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance][:1]
    return {"path": list(map(str, error.absolute_path)), "missing": missing, "text": error.message[:MAX_TEXT_LENGTH]}


def main() -> None:
    """Answer until the parent closes the pipe. SIGPROF ends the process at the limit of CPU time, also within `re`.

    The argument is the limit in seconds.
    """
    limit_s = float(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        text = json.dumps(answer(*json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(text, flush=True)


if __name__ == "__main__":
    main()
