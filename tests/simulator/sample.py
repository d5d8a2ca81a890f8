"""The world a simulator starts with: small, believable, and with the names that trip clients up."""

from .world import Discussion, Friend, Group, Member, Person, World

ACCOUNT = 305419896

CLASSMATES, COLLEAGUES = 1, 2

LIN = Person(10001, "林晓", status="online", client_type=1, gender="female", province="北京", city="东城")
CHEN = Person(20002, "Chen 🎈", status="online", client_type=24, gender="male", lnick="山高水长", vip_level=6)
TOM = Person(30003, "Tom & <Jerry>", status="away", client_type=41, gender="male", country="加拿大")
DIGITS = Person(40004, "10086", client_type=21)
WANG = Person(50005, "小王", status="online", client_type=42, province="上海", city="浦东新区")
OTHER_WANG = Person(60006, "小王", province="广东", city="深圳")
NAMELESS = Person(70007, "")
ZHAO = Person(987654321, "赵'老师\"", status="busy", gender="male", lnick="<b>不在</b>")
LONG = Person(2718281828, "一只爱写很长很长很长很长昵称的猫", status="online")


def sample_world(account: int = ACCOUNT) -> World:
    """Return a fresh copy of the sample world for an account of that number."""
    me = Person(account, "小桥", status="online", gender="male", face=567, lnick="流水人家", city="温哥华")
    return World.of(
        me,
        categories={CLASSMATES: "同学", COLLEAGUES: "同事 & 朋友"},
        friends=[
            Friend(LIN, mark="小林"),
            Friend(CHEN, category=CLASSMATES),
            Friend(TOM, mark="汤姆 <猫>", category=CLASSMATES),
            Friend(DIGITS, category=COLLEAGUES),
            Friend(WANG, category=COLLEAGUES),
            Friend(OTHER_WANG),
            Friend(NAMELESS),
        ],
        groups=[_readers(me), _neighbours(me)],
        discussions=[
            Discussion(
                1664012345, "林晓、Chen、赵", account, (Member(me), Member(LIN), Member(CHEN), Member(ZHAO))
            )
        ],
    )


def _readers(me: Person) -> Group:
    members = (
        Member(ZHAO, card="赵老师", mflag=1),
        Member(me, card="书童"),
        Member(LIN),
        Member(TOM, card="猫 & 鼠"),
        Member(WANG, card="王一"),
        Member(OTHER_WANG, card="王二"),
        Member(DIGITS),
        Member(LONG, card="群名片也可以写得非常非常长的一位成员"),
    )
    return Group(123456789, "读书会 <一>", ZHAO.qq, members, memo="每周五晚八点", mark="读书")


def _neighbours(me: Person) -> Group:
    members = (Member(me), Member(CHEN, mflag=1), Member(NAMELESS), Member(LONG))
    return Group(223344556, "邻居们🏠", CHEN.qq, members, mask=1)
