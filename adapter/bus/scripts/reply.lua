-- Push a reply onto the list at which the caller of a command waits. An unread reply expires.
-- KEYS  fence, list      ARGV  epoch, holder, TTL in seconds, reply
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
redis.call('RPUSH', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
