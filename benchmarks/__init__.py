"""What ``make bench`` measures: each module is a benchmark of its own, with targets of its own.

A benchmark measures what the package does (ours), what does the same otherwise (the peer) and
what the server, or the arithmetic, lets anybody reach (the limit), all in the same run.
"""

BENCHMARKS = (
    "batch",
    "scale",
    "find",
    "hook",
    "rate",
    "memory",
    "imports",
    "connections",
    "waiting",
)
