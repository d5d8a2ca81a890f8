-- Replace a whole hash.
-- KEYS  fence, hash      ARGV  epoch, holder, TTL in seconds (0: none), field, value …
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
redis.call('UNLINK', KEYS[2])
-- Lua's stack holds some 8,000 values: HSET takes long lists in pieces.
for i = 4, #ARGV, 4000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
if ARGV[3] ~= '0' and #ARGV > 3 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
return 1
