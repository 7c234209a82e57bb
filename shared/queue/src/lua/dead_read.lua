-- Dead letters by their ids: whole, or the last line alone, which tells what they died of.
--
-- ARGV  "whole" or "cause", ids (some hundred)
-- Reply (died at in ms, or -1 if it is no dead letter; index line; text)..., for fewer than all ids, but at least one, if
--       they are large
local whole = ARGV[1] == 'whole'
-- What is read in a call: with the largest payloads it is cut short rather than keep Redis busy.
local READ_BYTES = 4194304

local rows, read = {}, 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local died = redis.call('ZSCORE', DEAD, id)
  local entry = died and redis.call('HGET', JOBS, id) or ''
  local row = #rows
  rows[row + 1], rows[row + 2] = died or -1, died and redis.call('HGET', DEAD_INDEX, id) or ''
  rows[row + 3] = whole and entry or string.match(entry, '^.*\n(.*)$') or ''
  read = read + #entry
  if read >= READ_BYTES then break end
end
return rows
