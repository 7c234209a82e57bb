-- Gives dead letters up for good: nothing is left of them but a line in the journal. `allow-oom`: it frees memory.
--
-- ARGV  who, why, ids (some hundred)
-- Reply for each: discarded; missing
local by, reason = ARGV[1], ARGV[2]

local function discard(id)
  if not redis.call('ZSCORE', DEAD, id) then return 'missing' end
  raise(id, redis.call('HGET', JOBS, id) or '')
  redis.call('HDEL', JOBS, id)
  journal(id, 'discarded', by, reason)
  return 'discarded'
end

local answers = {}
for at = 3, #ARGV do answers[#answers + 1] = discard(ARGV[at]) end
return answers
