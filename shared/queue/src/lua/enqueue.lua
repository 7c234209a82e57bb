-- Adds jobs to one queue. No `allow-oom`: with memory full, new work is refused, loudly.
--
-- ARGV  runs of jobs that are alike: number of jobs, delay in ms, flag and lane such as ".n", tenant, "1" if
--       they have unique keys; then for each job: id, entry from the job's name on, and with unique keys the
--       key's field, after "?" if a dead letter of that key counts too
-- Reply positions of the jobs that were not added because their unique key is held
local head = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
local first_due = head[2] and tonumber(head[2])
local duplicates, added, position, woken = {}, 0, 0, false

local function taken(id, field)
  if string.sub(field, 1, 1) == '?' then
    field = string.sub(field, 2)
    if redis.call('HEXISTS', DEAD_UNIQUE, field) == 1 then return true end
  end
  return redis.call('HSETNX', UNIQUE, field, id) == 0
end

local at = 1
while at <= #ARGV do
  local jobs, delay, flags, tenant, unique = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local lane, due = string.sub(flags, 2), digits(now + delay)
  local stamp = string.sub(flags, 1, 1) .. '0 ' .. lane .. ' ' .. digits(now) .. '+' .. digits(delay) .. ' '
  local ids, entries, scores = {}, {}, {}
  at = at + 5
  for _ = 1, jobs do
    local id, tail = ARGV[at], ARGV[at + 1]
    at = at + 2
    local duplicate = false
    if unique == '1' then
      duplicate = taken(id, ARGV[at])
      at = at + 1
    end
    if duplicate then
      duplicates[#duplicates + 1] = position
    else
      local n = #ids + 1
      ids[n] = id
      entries[2 * n - 1], entries[2 * n] = id, stamp .. tail
    end
    position = position + 1
  end
  -- Safe to unpack: a call carries a fixed number of jobs at most.
  if #ids > 0 then
    added = added + #ids
    redis.call('HSET', JOBS, unpack(entries))
    if delay > 0 then
      for n, id in ipairs(ids) do scores[2 * n - 1], scores[2 * n] = due, id end
      redis.call('ZADD', SCHEDULED, unpack(scores))
      -- Idle workers sleep until the earliest due job they know of.
      if not first_due or now + delay < first_due then first_due, woken = now + delay, true end
    else
      push(READY, lane, tenant, ids)
      woken = true
    end
  end
end

if added > 0 then count('added', added) end
if woken then wake() end
return duplicates
