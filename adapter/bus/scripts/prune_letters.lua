-- Forget that the adapter wrote these dead letters, where they stand no more.
-- KEYS  fence, dead, letters of the adapter      ARGV  epoch, holder, letter …
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local is_stream = redis.call('TYPE', KEYS[2]).ok == 'stream'
for i = 3, #ARGV do
  if not is_stream or #redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i]) == 0 then
    redis.call('HDEL', KEYS[3], ARGV[i])
  end
end
return 1
