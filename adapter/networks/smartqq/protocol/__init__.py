"""Wire format of SmartQQ. Pure.

Numbers in brackets, in this package, are sections of the protocol notes it was written from.
"""
