"""Map built-in emoticons between the number on the wire and the name in brackets."""

from typing import Final

# The name of a face without a known name.
UNNAMED: Final = "表情"

# Until 2017 the number of 惊讶; since then also sent for each face that web clients do not have.
SURPRISE: Final = 0

# Source: the page script.
_OFFICIAL: Final = """
0 惊讶 1 撇嘴 2 色 3 发呆 4 得意 5 流泪 6 害羞 7 闭嘴 8 睡 9 大哭 10 尴尬 11 发怒 12 调皮 13 呲牙 14 微笑
21 飞吻 23 跳跳 25 发抖 26 怄火 27 爱情 29 足球 32 西瓜 33 玫瑰 34 凋谢 36 爱心 37 心碎 38 蛋糕 39 礼物
42 太阳 45 月亮 46 强 47 弱 50 难过 51 酷 53 抓狂 54 吐 55 惊恐 56 流汗 57 憨笑 58 大兵 59 猪头 62 拥抱
63 咖啡 64 饭 71 握手 72 便便 73 偷笑 74 可爱 75 白眼 76 傲慢 77 饥饿 78 困 79 奋斗 80 咒骂 81 疑问 82 嘘
83 晕 84 折磨 85 衰 86 骷髅 87 敲打 88 再见 91 闪电 92 炸弹 93 刀 95 胜利 96 冷汗 97 擦汗 98 抠鼻 99 鼓掌
100 糗大了 101 坏笑 102 左哼哼 103 右哼哼 104 哈欠 105 鄙视 106 委屈 107 快哭了 108 阴险 109 亲亲 110 吓
111 可怜 112 菜刀 113 啤酒 114 篮球 115 乒乓 116 示爱 117 瓢虫 118 抱拳 119 勾引 120 拳头 121 差劲 122 爱你
123 NO 124 OK 125 转圈 126 磕头 127 回头 128 跳绳 129 挥手 130 激动 131 街舞 132 献吻 133 左太极 134 右太极
136 双喜 137 鞭炮 138 灯笼 139 发财 140 K歌 141 购物 142 邮件 143 帅 144 喝彩 145 祈祷 146 爆筋 147 棒棒糖
148 喝奶 149 下面 150 香蕉 151 飞机 152 开车 153 左车头 154 车厢 155 右车头 156 多云 157 下雨 158 钞票
159 熊猫 160 灯泡 161 风车 162 闹钟 163 打伞 164 彩球 165 钻戒 166 沙发 167 纸巾 168 药 169 手枪 170 青蛙
"""

# Source: pandolia, for the faces that phones added in 2017. An older face keeps its name.
_MOBILE: Final = """
90 雾 94 女人 135 招财猫 171 粥 172 眨眼睛 173 泪奔 174 无奈 175 卖萌 176 小纠结 177 喷血 178 斜眼笑 179 doge
180 惊喜 181 骚扰 182 笑哭 183 我最美 184 河蟹 185 羊驼 187 幽灵 188 蛋 189 马赛克 190 菊花 191 肥皂 192 红包
193 大笑 194 不开心 195 啊 196 恐慌 197 冷漠 198 呃 199 好棒 200 拜托 201 点赞 202 无聊 203 托脸 204 吃
205 送花 206 害怕 207 花痴 208 小样儿 209 脸红 210 飙泪 211 我不看 212 托腮
"""


def _table(text: str) -> dict[int, str]:
    words = text.split()
    return {int(number): name for number, name in zip(words[::2], words[1::2], strict=True)}


NAMES: Final = _table(_OFFICIAL) | _table(_MOBILE)
NUMBERS: Final = {name: number for number, name in NAMES.items()}


def name_of(number: int, *, early: bool) -> str:
    """Return the name of a received face. `early`: in a message in the form of before 2016."""
    if number == SURPRISE and not early:
        return UNNAMED
    return NAMES.get(number, UNNAMED)


def number_of(name: str) -> int | None:
    """Return the number for a name without brackets, None if unknown. 惊讶 is 0."""
    return NUMBERS.get(name)
