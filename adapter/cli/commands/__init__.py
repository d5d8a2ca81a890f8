"""What the operator may ask of a running system: each command is a function of config and arguments."""

import argparse

from adapter.cli.commands import (
    acl,
    check,
    completion,
    contacts,
    contract,
    control,
    dead,
    doctor,
    login,
    rpc,
    send,
    status,
    tail,
)

_ALL = (status, login, control, tail, send, contacts, rpc, dead, acl, contract, check, doctor, completion)


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add all commands to the parser."""
    for module in _ALL:
        module.add_to(subs)
