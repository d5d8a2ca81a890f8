-- End a request: ledger, result, dead letter and ack in one step. Asking twice changes nothing.
-- KEYS  fence, ledger entry, outbound, results, dead, default results
-- ARGV  msgpack [epoch, holder, group, entry, kept seconds (0: no ledger), results' seconds (0: for ever),
--                about so many results kept there, result fields, dead letter's fields or []]
local epoch, holder, group, entry, kept, lives, most, result, dead = unpack(cmsgpack.unpack(ARGV[1]))
local refused = fence(KEYS[1], epoch, holder)
if refused then return refused end
local acked = redis.call('XACK', KEYS[3], group, entry)
if acked == 0 then
  local had = redis.call('HMGET', KEYS[2], 'state', 'entry')
  -- Not pending any more: settled before, or the server has forgotten the group. Only a request
  -- that has a ledger can tell, and only it may have been sent.
  if kept == 0 or (had[1] == 'done' and had[2] == entry) then return 0 end
end
local results = KEYS[4]
if lives > 0 then
  -- Whoever asked chose the key: where it is no stream the result goes where all others do.
  local kind = redis.call('TYPE', results).ok
  if kind ~= 'stream' and kind ~= 'none' then results, lives = KEYS[6], 0 end
end
if kept > 0 then
  redis.call('HSET', KEYS[2], 'state', 'done', 'entry', entry, 'result', cmsgpack.pack(result))
  redis.call('HDEL', KEYS[2], 'token', 'sent', 'messages', 'total')
  redis.call('EXPIRE', KEYS[2], kept)
end
if lives > 0 then
  redis.call('XADD', results, 'MAXLEN', '~', most, '*', unpack(result))
  redis.call('EXPIRE', results, lives)
else
  redis.call('XADD', results, '*', unpack(result))
end
if #dead > 0 then redis.call('XADD', KEYS[5], '*', unpack(dead)) end
return 1
