-- A whole hash anew: what is not in the new list is gone.
-- KEYS  fence, hash      ARGV  epoch, holder, seconds (0: for ever), field, value …
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
redis.call('UNLINK', KEYS[2])
-- Lua's stack holds some 8,000 values: long lists go in pieces.
for i = 4, #ARGV, 4000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
if ARGV[3] ~= '0' and #ARGV > 3 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
return 1
