"""Read and write the wire format of SmartQQ. Pure.

Numbers in brackets, in this package and its neighbours, are sections of the protocol notes it follows.

Tables of codes name a source beside each row. Names of clients stand for their public repositories: lwqq
(xiehuc), Mojo (Mojo-Webqq), pandolia (qqbot), PiWebQQ and RASP (xqin), QQRobot (zeruniverse), ScienJus
(smartqq, qqbot), slince (smartqq), webqq-core (iqq-team), Yinzo (SmartQQBot). "Page script" is a script of
Tencent's own that public repositories have archived. "Recorded" was seen in traffic of that year.
"""
