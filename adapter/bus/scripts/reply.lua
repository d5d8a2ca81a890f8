-- Put an answer where whoever asked waits for it; nobody else will, so it does not stay.
-- KEYS  fence, list      ARGV  epoch, holder, seconds kept, answer
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
redis.call('RPUSH', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
