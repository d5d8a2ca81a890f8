-- End a request: ledger, result, dead letter and ack in one step. Asking twice changes nothing.
-- KEYS  fence, ledger entry, outbound, results, dead
-- ARGV  msgpack [epoch, holder, group, entry, kept seconds (0: no ledger), results' seconds (0: for ever),
--                result fields, dead letter's fields or []]
local epoch, holder, group, entry, kept, lives, result, dead = unpack(cmsgpack.unpack(ARGV[1]))
local refused = fence(KEYS[1], epoch, holder)
if refused then return refused end
local acked = redis.call('XACK', KEYS[3], group, entry)
if acked == 0 then
  local had = redis.call('HMGET', KEYS[2], 'state', 'entry')
  -- Not pending any more: settled before, or the server has forgotten the group. Only a request
  -- that has a ledger can tell, and only it may have been sent.
  if kept == 0 or (had[1] == 'done' and had[2] == entry) then return 0 end
end
if kept > 0 then
  redis.call('HSET', KEYS[2], 'state', 'done', 'entry', entry, 'result', cmsgpack.pack(result))
  redis.call('HDEL', KEYS[2], 'token', 'sent', 'messages', 'total')
  redis.call('EXPIRE', KEYS[2], kept)
end
redis.call('XADD', KEYS[4], '*', unpack(result))
if lives > 0 then redis.call('EXPIRE', KEYS[4], lives) end
if #dead > 0 then redis.call('XADD', KEYS[5], '*', unpack(dead)) end
return 1
