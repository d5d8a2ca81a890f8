-- One batch into qq:inbound: epoch checked, seen ids dropped, `seq` given, entries added. All or nothing.
-- KEYS  fence, seq hash, seen (newer), seen (older), inbound
-- ARGV  epoch, holder, account, expected seq, window,
--       msgpack [[id, type, time, chat, sender, self, text, body] …]
-- Gives [added, last seq, events of all accounts]; added is -1, and nothing was done, where the server
-- knows of fewer entries than it has confirmed before: it came back without its tail.
local epoch, account = ARGV[1], ARGV[3]
local refused = fence(KEYS[1], tonumber(epoch), ARGV[2])
if refused then return refused end
local seq = tonumber(redis.call('HGET', KEYS[2], account) or '0')
local function total()
  local sum = 0
  for _, number in ipairs(redis.call('HVALS', KEYS[2])) do sum = sum + tonumber(number) end
  return sum
end
if seq < tonumber(ARGV[4]) then return { -1, seq, total() } end

local entries = cmsgpack.unpack(ARGV[6])
local ids, count = {}, #entries
for i = 1, count do ids[i] = entries[i][1] end
local newer = redis.call('SMISMEMBER', KEYS[3], unpack(ids))
local older = redis.call('SMISMEMBER', KEYS[4], unpack(ids))
local fresh, here = {}, {}
for i = 1, count do
  local id = ids[i]
  if newer[i] == 0 and older[i] == 0 and not here[id] then
    here[id] = true
    fresh[#fresh + 1] = id
    seq = seq + 1
    local e = entries[i]
    redis.call('XADD', KEYS[5], '*', 'v', '1', 'id', id, 'type', e[2], 'time', e[3], 'account', account,
      'epoch', epoch, 'seq', string.format('%.0f', seq), 'chat', e[4], 'sender', e[5], 'self', e[6],
      'text', e[7], 'body', e[8])
  end
end
if #fresh > 0 then
  redis.call('HSET', KEYS[2], account, string.format('%.0f', seq))
  redis.call('SADD', KEYS[3], unpack(fresh))
  -- Two generations of ids bound the memory: when the newer one is full it becomes the older.
  if redis.call('SCARD', KEYS[3]) >= tonumber(ARGV[5]) then
    redis.call('UNLINK', KEYS[4])
    redis.call('RENAME', KEYS[3], KEYS[4])
  end
end
return { #fresh, seq, total() }
