-- Puts dead letters back that Redis has lost. Who is there already, dead or at work, stays as it is. The journal is
-- not written: who restores them knows them.
--
-- ARGV  (id, died at in ms, index line, entry)..., some hundred
-- Reply how many were missing
local restored = 0

-- The key of several letters is the latest one's.
local function hold(id, died, entry)
  local head = parse(entry)
  if not head or head.scope == '-' then return end
  local holder = redis.call('HGET', DEAD_UNIQUE, head.field)
  local since = holder and redis.call('ZSCORE', DEAD, holder)
  if not since or tonumber(since) <= died then redis.call('HSET', DEAD_UNIQUE, head.field, id) end
end

for at = 1, #ARGV, 4 do
  local id, died, line, entry = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if redis.call('HSETNX', JOBS, id, entry) == 1 then
    redis.call('ZADD', DEAD, died, id)
    redis.call('HSET', DEAD_INDEX, id, line)
    hold(id, tonumber(died), entry)
    restored = restored + 1
  end
end
return restored
