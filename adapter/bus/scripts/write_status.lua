-- Write fields of the status hash and, if given, one entry of the session stream.
-- KEYS  fence, status, session
-- ARGV  epoch, holder, MAXLEN of the session stream, number of status fields and values, status …, session …
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local n = tonumber(ARGV[4])
if n > 0 then redis.call('HSET', KEYS[2], unpack(ARGV, 5, 4 + n)) end
if #ARGV > 4 + n then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 5 + n))
end
return 1
