-- Ids of a stream, and the answers of XINFO, in front of the scripts that look into a stream.
-- Both halves of an id reach 2^64 - 1, and a Lua number is exact to 2^53 only: ids stay text.
-- Redis writes numbers without leading zeros: the longer one is the larger one.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function before(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return less(a_ms, b_ms) end
  return less(a_seq, b_seq)
end
local function described(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end
