-- After a server came back without its tail and was given all that is left of it: go on counting from
-- where the readers were told to be, so that `seq` shows what is lost as a hole and never repeats.
-- KEYS  fence, seq hash      ARGV  epoch, holder, account, seq
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local seq = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0')
if seq < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
end
return seq
