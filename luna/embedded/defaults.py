"""Defaults and bounds of the supervisor's variables. `luna.config` declares the same variables for Django."""

HOST = "127.0.0.1"
PORT = 5000
WORKERS = 1
HTTP_THREADS = 16
TASK_THREADS = 2
REDIS_MAXMEMORY = "256mb"
REDIS_MAXMEMORY_PATTERN = r"^[0-9]+([kKmMgG][bB]?|[bB])?$"
MAX_PORT = 65535
MAX_PROCESSES = 1024  # web processes; also threads of each process

SUPERVISED_ADDRESS = "SUPERVISED_ADDRESS"  # the variable that tells processes the address of their supervisor's sockets
