"""`python -m adapter` is `qqbus`."""

from adapter.cli.main import main

main()
