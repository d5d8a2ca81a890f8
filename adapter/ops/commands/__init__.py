"""What the operator may ask of a running system: each command is a function of config and arguments."""

import argparse

from adapter.ops.commands import (
    acl,
    check,
    completion,
    contacts,
    contract,
    dead,
    doctor,
    errands,
    login,
    orders,
    send,
    status,
    tail,
)

_ALL = (status, login, orders, tail, send, contacts, errands, dead, acl, contract, check, doctor, completion)


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add all commands to the parser."""
    for module in _ALL:
        module.add_to(subs)
