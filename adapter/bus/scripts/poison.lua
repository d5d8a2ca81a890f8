-- List entries that a group was given often and has left idle: no worker can handle them.
-- KEYS  stream
-- ARGV  group, milliseconds of idleness, deliveries at least, entries to look at, bytes of a consumer's name
-- Returns {{entry, consumer, deliveries} …}. One entry a call: each row holds its consumer's name, of any length.
local found, after = {}, '-'
for _ = 1, tonumber(ARGV[4]) do
  local row = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[2], after, '+', 1)[1]
  if not row then break end
  if row[4] >= tonumber(ARGV[3]) then
    found[#found + 1] = { row[1], string.sub(row[2], 1, tonumber(ARGV[5])), row[4] }
  end
  if row[1] == '18446744073709551615-18446744073709551615' then break end
  after = '(' .. row[1]
end
return found
