"""The switches of the simulated service; an era is nothing but a set of them.

`Options.of("e1")` is the service of 2015, `Options.of("e3")` that of spring 2017, `Options.of("late")` that
of the winter of 2017/18. Every switch can be set apart from its era, at the start or while the simulator
runs. The README names for each default who says so. What a test scripts for single answers is in `faults`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from . import codes

ProfileName = Literal["e1", "e3", "late"]

E1_EMPTY_POLL = f'{{"retcode":{codes.NOTHING},"errmsg":""}}'
E3_EMPTY_POLL = '{"errmsg":"error!!!","retcode":0}'
LATE_EMPTY_POLL = '{"retcode":0,"retmsg":"ok","errmsg":"error"}'


class OptionError(ValueError):
    """No such option, or a value that is not one of its kind; the text names the option."""


@dataclass(frozen=True)
class Options:
    """How the service behaves. The defaults are those of `e3`; `E1` and `LATE` below list what differed."""

    profile: ProfileName = "e3"

    # Receiving
    poll_seconds: float = 60.0  # an idle poll is answered after this long
    max_batch: int = 100  # messages in one poll answer
    idle_status: int = 504  # of an idle poll's answer: a gateway's page; with 200 the body is `empty_poll`
    empty_poll: str = E3_EMPTY_POLL
    rich_values: bool = False  # msg_id2, reply_ip, seq, info_seq and msg_types 9/42/43/140
    late_types: bool = False  # without those: msg_type is 1, 4 or 5 instead of 0
    retmsg: bool = False  # an answer with messages ends in "retmsg":"ok"
    newest_first: bool = False  # order inside a batch
    out_of_turn: bool = False  # of three and more items in a batch the second stands before the last
    pictures: str = "font"  # "whole": as cface/offpic; "font": only the font is left; "empty": and a text ""
    font: str = ""  # name of the font in place of the era's
    faces: str = "old"  # "all": every id; "old": unknown to the 2015 table is 0; "zero": always 0; "text"
    trailing_blank: bool = False  # one blank after the text, as the PC client put it
    newline: str = "\n"  # what the sender's line break becomes
    escape: str = "basic"  # "basic": & < >; "full": also " ' \ in texts and blanks in names; "none"
    ascii_json: bool = False  # \uXXXX with upper-case digits instead of raw UTF-8
    echo: str = "off"  # own messages come back: "off", "random" (an unknown id), "zero", "own"
    queue_limit: int = 1_000_000  # the oldest undelivered messages beyond this are lost

    # Sending
    send_style: str = "errcode"  # "errcode": errCode/msg; "result": retcode/result
    sess_delivered: bool = False  # temporary messages reach the peer
    drop_repeats: bool = False  # a msg_id repeated to the same target is accepted and not delivered
    spam_count: int = 0  # beyond this many sends (0: no limit) …
    spam_seconds: float = 60.0  # … within so many seconds the answer is 1202
    spam_delivers: bool = False  # whether a 1202 is delivered all the same
    cut_bytes: int = 0  # longer texts lose their end silently (0: no limit)

    # Login and session
    auto_scan: bool = False  # a waiting code answers 66, 67, 0 without anybody scanning
    scan_after: int = 2  # the question to which auto_scan answers 67; with 0 the first one is answered 0
    qr_seconds: float = 120.0  # life of a code
    quick_code: int = codes.QUICK_DONE  # of a pt4_auth that succeeds
    need_ptqrtoken: bool = True
    need_p_skey: bool = True  # the API hosts want p_skey; otherwise skey will do
    need_online: bool = False  # polls answer 103 until a get_online_buddies2, which turns this off
    check_ptwebqq: bool = False  # login2 compares its `ptwebqq` with the cookie's
    need_referer: bool = True  # login2 without a Referer is refused, as everything else always is
    session_seconds: float = 48 * 3600.0  # then polls answer 100000 and lists 504
    old_host: bool = False  # d.web2.qq.com serves the channel; otherwise its POSTs get 403
    empty_ptwebqq: bool = False  # the ptwebqq cookie is empty (late 2017)
    missing_ptwebqq: bool = False  # … or not set at all
    new_uins: str = "login"  # momentary ids change at each "login", "always" (relinks too) or "never"
    password: str = "secret"  # of the invented account
    password_login: bool = False  # by number and password, as until September 2015; if not, code 10005
    captcha: bool = False  # the password login asks for the picture
    old_check: bool = False  # `check` answers with three fields and a cookie
    login_code: int = 0  # every password login is answered this code
    frozen: bool = False  # a right password leads to aq.qq.com
    random_salt: bool = False  # `check` gives a random salt instead of the number
    mibao_page: bool = False  # check_sig answers with the two pages of before 2014

    # Lists
    friend_uin: bool = False  # get_friend_uin2 gives away the QQ number
    qun_open: bool = True  # qun.qq.com and qinfo.clt.qq.com answer
    numeric_nicks: bool = True  # an all-digit nick is a bare JSON number
    shuffle_lists: bool = False  # lists meant to be joined by uin are in different orders
    omit: str = ""  # blank-separated keys left out: minfo cards marknames gmarklist …
    wrong_hash_code: int = codes.WRONG_HASH  # what the contact lists answer to a wrong hash

    # Requests
    strict: bool = (
        False  # exact Referer and Origin, browser User-Agent, form type, 13-digit t, integer clientid
    )

    @classmethod
    def of(cls, profile: str, **changes: Any) -> "Options":
        """Return the options of an era with some of them changed."""
        if profile not in PROFILES:
            raise OptionError(f"profile must be {', '.join(PROFILES)}, not {profile!r}")
        return PROFILES[profile].changed(changes)

    def changed(self, changes: Mapping[str, Any]) -> "Options":
        """Return a copy with `changes`; an unknown name or a wrong type raises OptionError."""
        return replace(self, **{name: self._fitting(name, value) for name, value in changes.items()})

    def _fitting(self, name: str, value: Any) -> Any:
        if name not in NAMES:
            raise OptionError(f"no such option: {name}")
        present = getattr(self, name)
        if name == "echo" and isinstance(value, bool):
            return "random" if value else "off"
        if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is not type(present):
            raise OptionError(f"{name} must be of type {type(present).__name__}, not {value!r}")
        if name in CHOICES and value not in CHOICES[name]:
            raise OptionError(f"{name} must be one of {', '.join(CHOICES[name])}, not {value!r}")
        return value


NAMES = frozenset(field.name for field in fields(Options))

CHOICES = {
    "profile": ("e1", "e3", "late"),
    "pictures": ("whole", "font", "empty"),
    "faces": ("all", "old", "zero", "text"),
    "escape": ("basic", "full", "none"),
    "echo": ("off", "random", "zero", "own"),
    "send_style": ("errcode", "result"),
    "new_uins": ("login", "always", "never"),
}

E3 = Options()

E1 = Options(
    profile="e1",
    idle_status=200,
    empty_poll=E1_EMPTY_POLL,
    rich_values=True,
    newest_first=True,
    pictures="whole",
    faces="all",
    trailing_blank=True,
    newline="\r\n",
    ascii_json=True,
    send_style="result",
    sess_delivered=True,
    need_ptqrtoken=False,
    need_p_skey=False,
    check_ptwebqq=True,
    need_referer=False,
    old_host=True,
    password_login=True,
    friend_uin=True,
)

LATE = Options(
    profile="late",
    empty_poll=LATE_EMPTY_POLL,
    late_types=True,
    retmsg=True,
    pictures="empty",
    empty_ptwebqq=True,
)

PROFILES = {"e1": E1, "e3": E3, "late": LATE}
