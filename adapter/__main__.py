"""Run `qqbus` as `python -m adapter`."""

from adapter.cli.main import main

main()
