-- Append one batch to qq:inbound: epoch checked, known ids dropped, `seq` given, entries added, in one step.
-- KEYS  fence, seq hash, late hash, seen (newer), seen (older), inbound
-- ARGV  epoch ('': a late append, which takes the current one), holder, account, expected live events,
--       window, limit (0: none), msgpack [[id, type, time, chat, sender, self, text, body] …]
-- Returns [added, events of all accounts, last seq, live events of this account].
-- `live`: seq without the late appends. Late appends thus never hide from the lease holder that the server
-- lost events. `added` is -1, and nothing was done, where the server has fewer live events than expected:
-- it came back without its tail.
-- Above `limit` events the ids of this batch may be forgotten: it came before, and is dropped.
local epoch, account = ARGV[1], ARGV[3]
local is_late = epoch == ''
if is_late then
  epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
else
  local refused = fence(KEYS[1], tonumber(epoch), ARGV[2])
  if refused then return refused end
end
local seq = tonumber(redis.call('HGET', KEYS[2], account) or '0')
local late = tonumber(redis.call('HGET', KEYS[3], account) or '0')
local total = 0
for _, number in ipairs(redis.call('HVALS', KEYS[2])) do total = total + tonumber(number) end
local live = math.max(0, seq - late)
if live < tonumber(ARGV[4]) then return { -1, total, seq, live } end
local limit = tonumber(ARGV[6])
local entries = cmsgpack.unpack(ARGV[7])
local ids, count = {}, #entries
if count == 0 or (limit > 0 and total >= limit) then return { 0, total, seq, live } end

for i = 1, count do ids[i] = entries[i][1] end
local newer = redis.call('SMISMEMBER', KEYS[4], unpack(ids))
local older = redis.call('SMISMEMBER', KEYS[5], unpack(ids))
local fresh, here = {}, {}
for i = 1, count do
  local id = ids[i]
  if newer[i] == 0 and older[i] == 0 and not here[id] then
    here[id] = true
    fresh[#fresh + 1] = id
    seq = seq + 1
    local e = entries[i]
    redis.call('XADD', KEYS[6], '*', 'v', '1', 'id', id, 'type', e[2], 'time', e[3], 'account', account,
      'epoch', epoch, 'seq', string.format('%.0f', seq), 'chat', e[4], 'sender', e[5], 'self', e[6],
      'text', e[7], 'body', e[8])
  end
end
if #fresh > 0 then
  redis.call('HSET', KEYS[2], account, string.format('%.0f', seq))
  if is_late then late = redis.call('HINCRBY', KEYS[3], account, #fresh) end
  redis.call('SADD', KEYS[4], unpack(fresh))
  -- Two generations of ids bound the memory: when the newer one is full it becomes the older.
  if redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[5]) then
    redis.call('UNLINK', KEYS[5])
    redis.call('RENAME', KEYS[4], KEYS[5])
  end
end
return { #fresh, total + #fresh, seq, math.max(0, seq - late) }
