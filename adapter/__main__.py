"""`python -m adapter` is `qqbus`."""

from adapter.ops.cli import main

main()
