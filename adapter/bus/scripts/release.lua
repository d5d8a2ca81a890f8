-- Append a scheduled request to the outbound stream when its time has come, once.
-- KEYS  fence, scheduled requests, outbound      ARGV  epoch, holder, entry, field, value …
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
if redis.call('HDEL', KEYS[2], ARGV[3]) == 0 then return 0 end
redis.call('XADD', KEYS[3], '*', unpack(ARGV, 4))
return 1
