-- Append the original fields of a dead letter and delete it, or find it gone.
-- KEYS  dead, stream      ARGV  dead letter, field, value …
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return false end
return redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
