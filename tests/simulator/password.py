"""Login by QQ number and password, as it was until September 2015: check, captcha picture, login."""

import secrets
import struct
from dataclasses import replace

from . import pictures, wire
from .call import Call, Reply
from .challenges import Challenge
from .network import Network
from .ptlogin import callback, set_cookies, success
from .tea import DigestError, open_digest

OLD_WEBQQ = "1003903"  # its login2 gave a vfwebqq that could be used

WRONG_PASSWORD, WRONG_CAPTCHA, EXPIRED_CHECK, BAD_PARAMETERS, MUST_SCAN = 3, 4, 5, 7, 10005

TEXTS = {
    0: "登录成功！",
    1: "系统繁忙，请稍后重试。",
    2: "您的帐号已经过期。",
    3: "您输入的帐号或密码不正确，请重新输入。",
    4: "您输入的验证码不正确，请重新输入。",
    5: "校验失败，请重试。",
    6: "登录异常，请重试。",
    7: "很遗憾，网络连接出现异常，请您稍后再试。",
    8: "您的IP登录过于频繁，请稍后再试。",
    12: "您的帐号被暂停使用。",
    19: "您的帐号暂时无法登录，请到安全中心恢复。",
    22: "您的浏览器禁止了cookies。",
    24: "您的设备存在问题。",
    71: "登录异常，请重试。",
    10005: "您的帐号存在安全风险，请使用手机QQ扫码登录。",
    10006: "您的帐号存在安全风险，请稍后再试。",
}


def check(net: Network, call: Call) -> Reply:
    """Answer `check`: whether a picture is needed, and the salt."""
    uin = wire.integer(call.query.get("uin"))
    if uin is None:
        return Reply(wire.script_call("ptui_checkVC", ("-1", "", "", "", "0"), last_apart=False))
    salt = secrets.token_bytes(8) if net.options.random_salt else struct.pack(">Q", uin % 2**64)
    if net.options.captcha:
        challenge = Challenge(salt, net.mint.captcha(), picture=True)
        name = net.mint.p_skey()
        net.challenges.expect_picture(name, challenge)
        first = ("1", name)
    else:
        challenge = Challenge(salt, "!" + net.mint.captcha()[:3], net.mint.p_skey() + net.mint.p_skey())
        net.challenges.expect_login(challenge)
        first = ("0", challenge.code)
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
        return callback(net, 0, "http://aq.qq.com/cn2/login_limit/login_limit_index", text=TEXTS[0])
    grant = net.new_grant()
    if q["aid"] == OLD_WEBQQ:
        grant.decoy = grant.vfwebqq
    return success(net, grant)


def refusal(net: Network, code: int, nick: str = "") -> Reply:
    """Return a ptuiCB answer with a code other than 0; a wrong password shows the number as nick."""
    return callback(net, code, text=TEXTS.get(code, "未知错误"), nick=nick if code == WRONG_PASSWORD else "")
