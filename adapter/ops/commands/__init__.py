"""What the operator may ask of a running system: each command is a function of config and arguments."""

import argparse


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add all commands to the parser."""
