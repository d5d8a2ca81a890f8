-- Append a scheduled request to the outbound stream when its time has come, once.
-- KEYS  fence, scheduled requests, outbound      ARGV  epoch, holder, entry
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local packed = redis.call('HGET', KEYS[2], ARGV[3])
if not packed then return 0 end
redis.call('XADD', KEYS[3], '*', unpack(cmsgpack.unpack(packed)[2]))
redis.call('HDEL', KEYS[2], ARGV[3])
return 1
