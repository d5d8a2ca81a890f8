-- Record how many parts of a request are sent: a crash from here on puts only the next part in doubt.
-- KEYS  fence, ledger entry      ARGV  epoch, holder, sent, attempts, suspend (1: no part is in flight),
--                                   the network's id of the first part ('': none)
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
if redis.call('HGET', KEYS[2], 'state') == 'begun' then
  redis.call('HSET', KEYS[2], 'sent', ARGV[3], 'attempts', ARGV[4])
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], 'network', ARGV[6]) end
  if ARGV[5] == '1' then redis.call('HDEL', KEYS[2], 'token') end
end
return 1
