"""Login by QQ number and password, as it was until September 2015: check, captcha picture, login."""

import secrets
import struct
from dataclasses import replace

from . import pictures, wire
from .call import Call, Reply
from .challenges import Challenge
from .codes import (
    BAD_PARAMETERS,
    CHECK_FAILED,
    CHECK_PICTURE,
    CHECK_READY,
    EXPIRED_CHECK,
    LOGIN_DONE,
    LOGIN_TEXTS,
    MUST_SCAN,
    WRONG_CAPTCHA,
    WRONG_PASSWORD,
)
from .network import Network
from .ptlogin import callback, set_cookies, success
from .tea import DigestError, open_digest

OLD_WEBQQ = "1003903"  # its login2 gave a vfwebqq that could be used


def check(net: Network, call: Call) -> Reply:
    """Answer `check`: whether a picture is needed, and the salt."""
    uin = wire.integer(call.query.get("uin"))
    if uin is None:
        return Reply(wire.script_call("ptui_checkVC", (str(CHECK_FAILED), "", "", "", "0"), last_apart=False))
    salt = secrets.token_bytes(8) if net.options.random_salt else struct.pack(">Q", uin % 2**64)
    if net.options.captcha:
        challenge = Challenge(salt, net.mint.captcha(), picture=True)
        name = net.mint.p_skey()
        net.challenges.expect_picture(name, challenge)
        first = (str(CHECK_PICTURE), name)
    else:
        challenge = Challenge(salt, "!" + net.mint.captcha()[:3], net.mint.p_skey() + net.mint.p_skey())
        net.challenges.expect_login(challenge)
        first = (str(CHECK_READY), challenge.code)
    return _checked(net, first, challenge)


def _checked(net: Network, first: tuple[str, str], challenge: Challenge) -> Reply:
    salt = "".join(f"\\x{byte:02x}" for byte in challenge.salt)
    if net.options.old_check:
        cookies = (
            [wire.cookie("ptvfsession", challenge.session, "ptlogin2.qq.com")] if challenge.session else []
        )
        return Reply(
            wire.script_call("ptui_checkVC", (*first, salt), last_apart=False), headers=set_cookies(*cookies)
        )
    fields = (*first, salt, challenge.session, str(int(net.options.random_salt)))
    return Reply(wire.script_call("ptui_checkVC", fields, last_apart=False))


def picture(net: Network, call: Call) -> Reply:
    """Answer `getimage`: four letters as a JPEG, their session as a cookie. Each picture is a new one."""
    asked = net.challenges.by_cap_cd.get(call.query.get("cap_cd", ""))
    waiting = net.challenges.newest
    challenge = asked or (waiting if waiting is not None and waiting.picture else None)
    if challenge is None:
        challenge = Challenge(struct.pack(">Q", net.account), "", picture=True)
    challenge = replace(challenge, code=net.mint.captcha(), session=net.mint.p_skey() + net.mint.p_skey())
    net.challenges.expect_login(challenge)
    cookie = wire.cookie("verifysession", challenge.session, "captcha.qq.com")
    image = pictures.letters(challenge.code, net.rng)
    return Reply(image, content_type="image/jpeg", headers=set_cookies(cookie))


def login(net: Network, call: Call) -> Reply:
    """Answer `login`. A verify code serves once, whether the password is right or not."""
    q = call.query
    if net.options.login_code:
        return refusal(net, net.options.login_code, q.get("u", ""))
    if not net.options.password_login:
        return refusal(net, MUST_SCAN)
    if not all(q.get(name) for name in ("u", "p", "verifycode", "aid")):
        return refusal(net, BAD_PARAMETERS)
    session = (
        q.get("pt_verifysession_v1") or call.cookies.get("verifysession") or call.cookies.get("ptvfsession")
    )
    challenge = net.challenges.by_session.pop(session or "", None)
    if challenge is None:
        return refusal(net, EXPIRED_CHECK)
    if q["verifycode"].upper() != challenge.code:
        return refusal(net, WRONG_CAPTCHA)
    return _judged(net, call, challenge)


def _judged(net: Network, call: Call, challenge: Challenge) -> Reply:
    q = call.query
    try:
        digest = open_digest(q["p"], net.options.password, challenge.salt)
    except DigestError:
        return refusal(net, WRONG_PASSWORD, q["u"])
    if q["u"] != str(net.account):
        return refusal(net, WRONG_PASSWORD, q["u"])
    if digest.salt != challenge.salt or digest.code != challenge.code:
        return refusal(net, WRONG_CAPTCHA)
    if net.options.frozen:
        return callback(
            net,
            LOGIN_DONE,
            "http://aq.qq.com/cn2/login_limit/login_limit_index",
            text=LOGIN_TEXTS[LOGIN_DONE],
        )
    grant = net.new_grant()
    if q["aid"] == OLD_WEBQQ:
        grant.decoy = grant.vfwebqq
    return success(net, grant)


def refusal(net: Network, code: int, nick: str = "") -> Reply:
    """Return a ptuiCB answer with a code other than 0; a wrong password shows the number as nick."""
    return callback(
        net, code, text=LOGIN_TEXTS.get(code, "未知错误"), nick=nick if code == WRONG_PASSWORD else ""
    )
