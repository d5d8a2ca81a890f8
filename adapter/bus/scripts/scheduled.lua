-- List scheduled requests in steps, without what they say.
-- KEYS  scheduled requests      ARGV  cursor, bytes of a head, requests of one step
-- Returns {next cursor, entry, bytes, head of the packed request …}.
local step = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[3])
local found, rows = { step[1] }, step[2]
for i = 1, #rows, 2 do
  found[#found + 1] = rows[i]
  found[#found + 1] = #rows[i + 1]
  found[#found + 1] = string.sub(rows[i + 1], 1, tonumber(ARGV[2]))
end
return found
