-- Puts dead letters back to work, each at the end of its line, with all attempts ahead and its history kept.
-- `allow-oom`: it takes little memory, and work that is done gives back more.
--
-- ARGV  who, why, ids (some hundred)
-- Reply for each: requeued; missing; duplicate, other work holds its unique key; malformed, it cannot run
local by, reason = ARGV[1], ARGV[2]
local requeued = false

local function requeue(id)
  if not redis.call('ZSCORE', DEAD, id) then return 'missing' end
  local entry = redis.call('HGET', JOBS, id) or ''
  local head = readable(id, entry)
  if not head then return 'malformed' end
  if head.scope ~= '-' and redis.call('HSETNX', UNIQUE, head.field, id) == 0 then return 'duplicate' end
  raise(id, entry)
  redis.call('HSET', JOBS, id, rewrite(entry, head, 0, now))
  push(READY, head.lane, head.tenant, { id })
  journal(id, 'requeued', by, reason)
  requeued = true
  return 'requeued'
end

local answers = {}
for at = 3, #ARGV do answers[#answers + 1] = requeue(ARGV[at]) end
if requeued then wake() end
return answers
