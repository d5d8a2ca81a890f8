"""Name the codes that the service answers with, each with its source.

Names of clients stand for their public repositories: webqq-core (iqq-team), lwqq (xiehuc), Mojo (Mojo-Webqq),
pandolia (qqbot), ScienJus (smartqq, qqbot), slince (smartqq), Yinzo (SmartQQBot), RASP and PiWebQQ (xqin),
QQRobot (zeruniverse). "Page script" is a script of Tencent's own, archived in public repositories: `mq.js` of
December 2016 (in webqqircd) for the channel, the login frame's script for ptlogin2. "Notes of 2015" are a list
of return codes that a client's author kept in September 2015. An assumption has no source beside this project.
"""

from typing import Final

OK: Final = 0  # all clients

# --- retcode: polls, login2, lists -------------------------------------------------------------

WRONG_GROUP: Final = 6  # Yinzo: get_group_info_ext2 with a gid; it asks again with the code
WRONG_HASH: Final = 50  # a third party's list of codes; not recorded, and no client tests for it
NOTHING: Final = 102  # recorded 2012 to 2015 (webqq-core, lwqq, notes of 2015): the empty poll
NO_SESSION: Final = 103  # recorded 2015 to 2018 (notes of 2015, pandolia, ScienJus#3); page script: login2
RENEWED: Final = 116  # recorded 2012 to 2017 (webqq-core, Yinzo): `p` is the new ptwebqq
CLOSED: Final = 120  # recorded 2015 (notes of 2015, "ReLinkFailure"); page script relinks
KICKED: Final = 121  # recorded 2014, 2015 (webqq-core, notes of 2015); page script relinks
# Mojo: log in anew (poll), no signature (get_single_long_nick2). For which token it comes is an assumption.
BAD_COOKIES: Final = 100000
# pandolia: probe, then log in anew; reports of 2016: no Referer. For a wrong psessionid it is an assumption.
BAD_HEADERS: Final = 100001

BAD_FORM: Final = 100006  # RASP, QQRobot, Yinzo: no `r` in the body

# --- retcode and errCode: sends ----------------------------------------------------------------

NOT_SENT: Final = -3  # Mojo: errCode -3, errMsg ERROR; that it means an unknown target is an assumption
SPAM: Final = 1202  # Yinzo, Mojo, pandolia: too fast or suspicious; often delivered all the same

# --- ptqrlogin: ptuiCB('code', …) --------------------------------------------------------------

SCAN_DONE: Final = 0  # recorded (slince, Mojo); all clients
SCAN_EXPIRED: Final = 65  # by number Mojo, Yinzo, RASP; by text pandolia, slince, ScienJus
SCAN_WAITING: Final = 66  # recorded (slince); by number Mojo, Yinzo, RASP
SCAN_SCANNED: Final = 67  # recorded (a Java client's notes of December 2017); by number Mojo, Yinzo, RASP
SCAN_REFUSED: Final = 68  # a Java and a Go client of the same host, with this text; no client of SmartQQ

# --- pt4_auth: ptui_auth_CB('code', 'url') -----------------------------------------------------

QUICK_KNOWN: Final = 0  # page script: show the account to choose; an Emacs client of WebQQ wants 0
QUICK_DENIED: Final = 1  # page script: the account is unknown, the form is shown
QUICK_DONE: Final = 2  # page script: go on to the URL at once; recorded (FCM-for-Mojo#120, March 2018)

# --- check: ptui_checkVC('code', …) ------------------------------------------------------------

CHECK_READY: Final = 0  # PiWebQQ: no picture, the second field is the verify code
CHECK_PICTURE: Final = 1  # PiWebQQ: the second field is `cap_cd`
CHECK_FAILED: Final = -1  # an assumption: `uin` is no number

# --- login: ptuiCB('code', …) ------------------------------------------------------------------

LOGIN_DONE: Final = 0  # PiWebQQ
WRONG_PASSWORD: Final = 3  # PiWebQQ, webqq-core: the last field is the number in place of a nick
WRONG_CAPTCHA: Final = 4  # PiWebQQ, webqq-core
EXPIRED_CHECK: Final = 5  # webqq-core, lwqq
BAD_PARAMETERS: Final = 7  # PiWebQQ; a Go client of the same host: 提交参数错误
MUST_SCAN: Final = 10005  # Mojo, as a branch that is commented out

LOGIN_TEXTS: Final = {
    LOGIN_DONE: "登录成功！",  # recorded (slince)
    1: "系统繁忙，请稍后重试。",  # lwqq, webqq-core
    2: "您的帐号已经过期。",  # lwqq, webqq-core
    WRONG_PASSWORD: "您输入的帐号或密码不正确，请重新输入。",
    WRONG_CAPTCHA: "您输入的验证码不正确，请重新输入。",
    EXPIRED_CHECK: "校验失败，请重试。",
    6: "登录异常，请重试。",  # lwqq
    BAD_PARAMETERS: "很遗憾，网络连接出现异常，请您稍后再试。",
    8: "您的IP登录过于频繁，请稍后再试。",  # lwqq
    12: "您的帐号被暂停使用。",  # lwqq
    19: "您的帐号暂时无法登录，请到安全中心恢复。",  # lwqq, webqq-core
    22: "您的浏览器禁止了cookies。",  # lwqq
    24: "您的设备存在问题。",  # lwqq
    71: "登录异常，请重试。",  # lwqq
    MUST_SCAN: "您的帐号存在安全风险，请使用手机QQ扫码登录。",
    10006: "您的帐号存在安全风险，请稍后再试。",  # Mojo, as a branch that is commented out
}

# --- ec: qun.qq.com and qinfo.clt.qq.com -------------------------------------------------------
# Clients know 0 and "not 0"; the three numbers are assumptions.

QUN_NOT_LOGGED_IN: Final = 4
QUN_NO_SUCH_GROUP: Final = 7
QUN_CLOSED: Final = 99999

# --- `stat` in the lists -----------------------------------------------------------------------

STAT_CODES: Final = {  # page script of the channel
    "online": 10,
    "offline": 20,
    "away": 30,
    "hidden": 40,
    "busy": 50,
    "callme": 60,
    "silent": 70,
}
