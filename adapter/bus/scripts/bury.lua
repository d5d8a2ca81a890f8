-- Poison: an entry that was delivered again and again and never acknowledged goes to qq:dead, whoever reads.
-- KEYS  fence, stream, dead
-- ARGV  epoch, holder, group, entry, deliveries, time, reason, detail
-- Gives 1, or 0 where it was acknowledged meanwhile.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local row = redis.call('XPENDING', KEYS[2], ARGV[3], ARGV[4], ARGV[4], 1)[1]
if not row then return 0 end
local found = redis.call('XRANGE', KEYS[2], ARGV[4], ARGV[4])[1]
redis.call('XACK', KEYS[2], ARGV[3], ARGV[4])
if not found then return 0 end
-- The original fields as one msgpack map; the values keep their bytes.
local flat = found[2]
local count = #flat / 2
local packed = { string.char(0xde, math.floor(count / 256), count % 256) }
local function head(len, small, one, two, four)
  if small and len < 32 then return string.char(0xa0 + len) end
  if len < 256 then return string.char(one, len) end
  if len < 65536 then return string.char(two, math.floor(len / 256), len % 256) end
  return string.char(four, math.floor(len / 16777216) % 256, math.floor(len / 65536) % 256,
    math.floor(len / 256) % 256, len % 256)
end
for i = 1, #flat, 2 do
  packed[#packed + 1] = head(#flat[i], true, 0xd9, 0xda, 0xdb) .. flat[i]
  packed[#packed + 1] = head(#flat[i + 1], false, 0xc4, 0xc5, 0xc6) .. flat[i + 1]
end
redis.call('XADD', KEYS[3], '*', 'v', '1', 'time', ARGV[6], 'stream', KEYS[2], 'entry', ARGV[4], 'group', ARGV[3],
  'consumer', row[2], 'reason', ARGV[7], 'detail', ARGV[8], 'attempts', ARGV[5], 'fields', table.concat(packed))
return 1
