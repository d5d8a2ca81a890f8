-- Make an entry pending again for one group, claimable at once, and delete its dead letter. Any worker may write
-- a letter: what the group gets is the entry as the adapter wrote it.
-- KEYS  dead, stream      ARGV  dead letter, group, entry, consumer, milliseconds of idleness
-- Returns 'done', 'gone' (the letter) or 'trimmed' (the entry).
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 'gone' end
if #redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3]) == 0 then return 'trimmed' end
redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[4], 0, ARGV[3],
  'IDLE', ARGV[5], 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
redis.call('XDEL', KEYS[1], ARGV[1])
return 'done'
