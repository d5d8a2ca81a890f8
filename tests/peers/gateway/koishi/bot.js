// The same bot on koishi: it dials (BOT_URL), or is dialled at BOT_PORT.
const { Context, h } = require('koishi')

function plugin(name) {
  const found = require(name)
  return found.default || found
}

const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const { BOT_URL, BOT_PORT, BOT_TOKEN, BOT_ACCOUNT } = process.env

function show(kind, fields) {
  console.log(JSON.stringify({ kind, ...fields }))
}

const app = new Context({ prefix: '/', logger: { levels: 1 }, autoAssign: false })
app.plugin(plugin('@koishijs/plugin-http'))
const shared = { selfId: BOT_ACCOUNT, token: BOT_TOKEN }
if (BOT_PORT) {
  app.plugin(plugin('@koishijs/plugin-server'), { host: '127.0.0.1', port: Number(BOT_PORT) })
  app.plugin(plugin('koishi-plugin-adapter-onebot'), { ...shared, protocol: 'ws-reverse', path: '/ws' })
} else {
  app.plugin(plugin('koishi-plugin-adapter-onebot'), { ...shared, protocol: 'ws', endpoint: BOT_URL, retryInterval: 500, retryTimes: 1000 })
}

const NAMES = { img: 'image', image: 'image' }

app.command('add <a:number> <b:number>').action((_, a, b) => `${a} + ${b} = ${a + b}`)

app.middleware(async (session, next) => {
  const parts = session.elements.filter((one) => one.type !== 'text' || one.attrs.content.trim())
  const text = parts.filter((one) => one.type === 'text').map((one) => one.attrs.content).join('').trim()
  if (text.startsWith('/')) return next()
  const { bot, channelId } = session
  show('message', {
    text,
    sender: session.username,
    segments: parts.map((one) => NAMES[one.type] || one.type),
  })
  if (text === 'recall') {
    const [sent] = await session.send('gone soon')
    await bot.deleteMessage(channelId, sent)
  } else if (text === 'timer') {
    app.setTimeout(() => bot.sendMessage(channelId, 'it is time'), 500)
  } else if (parts.some((one) => NAMES[one.type] === 'image')) {
    await session.send(h.image(Buffer.from(PICTURE, 'base64'), 'image/png'))
  } else if (session.isDirect) {
    await session.send([h.text(text), h('face', { id: '14' })])
  } else {
    await session.send([h.quote(session.messageId), h.at(session.userId), h.text(` ${text} [x]`), h('face', { id: '14' })])
  }
})

app.on('friend-request', async (session) => {
  await session.bot.handleFriendRequest(session.messageId, true)
  show('request', { type: 'friend' })
})
app.on('guild-member-request', async (session) => {
  await session.bot.handleGuildMemberRequest(session.messageId, true)
  show('request', { type: 'group' })
})
app.on('guild-request', async (session) => {
  await session.bot.handleGuildRequest(session.messageId, true)
  show('request', { type: 'group' })
})

let isConnected = false
app.on('bot-status-updated', async (bot) => {
  if (bot.status !== 1 || isConnected) return
  isConnected = true
  const friends = await bot.getFriendList()
  const groups = await bot.getGuildList()
  show('connected', { friends: friends.data.length, groups: groups.data.length })
})

process.on('SIGTERM', () => process.exit(0))
app.start()
