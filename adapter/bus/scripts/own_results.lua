-- Result streams of workers, in front of the scripts that publish a result.
-- The worker chose the key. If it is no stream, or there are too many, the result goes to the default stream.
-- Returns the stream, and whether it is a worker's own. `known` is the hash of the names of all such streams.
local function result_stream(named, default, known, most)
  if named == default then return default, false end
  local kind = redis.call('TYPE', named).ok
  local is_refused = kind == 'none' and redis.call('HLEN', known) >= most
  if is_refused or (kind ~= 'stream' and kind ~= 'none') then return default, false end
  return named, true
end
