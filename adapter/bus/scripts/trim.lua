-- Trim a stream up to the oldest entry that a group needs; beyond it only above the cap.
-- KEYS  fence, stream
-- ARGV  epoch, holder, entries to keep for a replay, cap in entries, entries per call, lapsed groups …
-- Returns {entries left, trimmed, dropped unread, slowest group, first dropped id, first kept id}.
-- Redis computes the successor of an id.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local keep, cap, batch = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lapsed = {}
for i = 6, #ARGV do lapsed[ARGV[i]] = true end

local MAX_NAME = 256 -- bytes of the name that is sent: workers choose it
local LAST_ID = '18446744073709551615-18446744073709551615'
-- The oldest entry that a group still needs, nil if none: its oldest pending one, else the first undelivered.
local function needed_by(group)
  if group['pending'] > 0 then return redis.call('XPENDING', KEYS[2], group['name'], '-', '+', 1)[1][1] end
  if group['last-delivered-id'] == LAST_ID then return nil end
  local undelivered = redis.call('XRANGE', KEYS[2], '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  return undelivered and undelivered[1]
end

local length = redis.call('XLEN', KEYS[2])
local excess = math.min(length - keep, batch)
if excess <= 0 then return { length, 0, 0, '', '', '' } end
local head = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', excess + 1)
local target = head[#head][1]

local needed, slowest = nil, ''
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local group = described(info)
  local first = not lapsed[group['name']] and needed_by(group)
  if first and (not needed or before(first, needed)) then needed, slowest = first, group['name'] end
end

local dropped, from, to = 0, '', ''
-- A group that needs nothing of the excess holds nothing back.
if not needed or not before(needed, target) then slowest = '' end
if needed and before(needed, target) then
  if length > cap then
    -- Above the cap entries are dropped that the slowest group has not acknowledged: count them.
    local allowed = head[math.min(length - cap, excess) + 1][1]
    if before(needed, allowed) then
      for i = 1, #head do
        if not before(head[i][1], needed) and before(head[i][1], allowed) then
          if dropped == 0 then from = head[i][1] end
          dropped = dropped + 1
        end
      end
      to, needed = allowed, allowed
    end
  end
  target = needed
end
local trimmed = redis.call('XTRIM', KEYS[2], 'MINID', target)
return { length - trimmed, trimmed, dropped, string.sub(slowest, 1, MAX_NAME), from, to }
