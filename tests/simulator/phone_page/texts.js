// Texts of the phones in the reader's language: the browser's, unless the reader has chosen one.

const CHINESE = {
  "Phones": "手机",
  "QR code on a computer's screen": "电脑屏幕上的二维码",
  "Scan the code": "扫码",
  "Log in": "登录",
  "Refuse": "拒绝",
  "Log in elsewhere": "在别处登录",
  "Lose the session": "会话失效",
  "Search": "搜索",
  "Search chats": "搜索会话",
  "Chats": "会话",
  "Back": "返回",
  "Conversation": "对话",
  "Faces": "表情",
  "as": "身份",
  "Who speaks": "谁在说话",
  "Message": "消息",
  "Send": "发送",
  "{qq} · the account": "{qq} · 本账号",
  "(no name)": "（无名称）",
  "group {number}": "群 {number}",
  "discussion": "讨论组",
  "{n} members": "{n} 名成员",
  "Say something to {me} as {who}.": "以 {who} 的身份对 {me} 说点什么。",
  "one of the members": "某位成员",
  "not logged in": "未登录",
  "code on screen": "二维码已显示",
  "asks you": "等待确认",
  "logging in": "正在登录",
  "refused": "已拒绝",
  "code expired": "二维码已过期",
  "online": "在线",
  "away": "离开",
  "offline": "离线",
  "A computer shows a code. Point the camera at it.": "电脑上显示了二维码，请对准摄像头。",
  "SmartQQ wants to log in on a computer. Is that you?": "SmartQQ 要在电脑上登录，是你本人吗？",
  "simulator gone": "模拟器已退出",
};
const KEPT = "language"; // in this browser's storage

function isChinese() {
  const chosen = localStorage.getItem(KEPT);
  if (chosen) return chosen === "zh-CN";
  return ((navigator.languages ?? [navigator.language])[0] ?? "en").toLowerCase().startsWith("zh");
}

const catalogue = isChinese() ? CHINESE : {};

export function t(text, values = {}) {
  return (catalogue[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Translate the texts of the file itself, and let the button show the other language. */
export function translatePage(button) {
  document.documentElement.lang = isChinese() ? "zh-CN" : "en";
  document.title = t(document.title);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const words = texts.currentNode.data.trim();
    if (words in catalogue) texts.currentNode.data = texts.currentNode.data.replace(words, catalogue[words]);
  }
  for (const node of document.body.querySelectorAll("[placeholder], [aria-label], [alt]")) {
    for (const name of ["placeholder", "aria-label", "alt"]) {
      if (node.getAttribute(name) in catalogue) node.setAttribute(name, catalogue[node.getAttribute(name)]);
    }
  }
  button.textContent = isChinese() ? "English" : "中文";
  button.addEventListener("click", () => {
    localStorage.setItem(KEPT, isChinese() ? "en" : "zh-CN");
    location.reload();
  });
}
