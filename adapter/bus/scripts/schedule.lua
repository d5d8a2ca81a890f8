-- Put a request aside until its time: it leaves the group, so that it holds back no trimming.
-- KEYS  fence, scheduled requests, outbound      ARGV  epoch, holder, group, entry, packed request
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('XACK', KEYS[3], ARGV[3], ARGV[4])
return 1
