#!lua
-- Adds jobs to one queue. No `allow-oom`: with memory full, new work is refused, loudly.
--
-- KEYS  ready:high, ready:normal, ready:low, scheduled, unique, wake
-- ARGV  for each job: delay in ms, unique field ("" for none), entry without its first two words
-- Reply indexes of the jobs that were not added because their unique key is held
local LANES = { h = KEYS[1], n = KEYS[2], l = KEYS[3] }
local SCHEDULED, UNIQUE, WAKE = KEYS[4], KEYS[5], KEYS[6]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f 0 ', now)
local head = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
local first_due = head[2] and tonumber(head[2])

local duplicates, ready, wake = {}, { h = {}, n = {}, l = {} }, false
for at = 1, #ARGV, 3 do
  local delay, field, tail = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local id, lane = string.match(tail, '^(%S+) ([hnl]) ')
  if field ~= '' and redis.call('HSETNX', UNIQUE, field, id) == 0 then
    duplicates[#duplicates + 1] = (at - 1) / 3
  elseif delay > 0 then
    local due = now + delay
    redis.call('ZADD', SCHEDULED, due, stamp .. tail)
    -- Idle workers sleep until the earliest due job they know of.
    if not first_due or due < first_due then first_due, wake = due, true end
  else
    local list = ready[lane]
    list[#list + 1] = stamp .. tail
  end
end

-- Safe to unpack: a call carries a fixed number of jobs at most.
for lane, entries in pairs(ready) do
  if #entries > 0 then
    redis.call('RPUSH', LANES[lane], unpack(entries))
    wake = true
  end
end
if wake then redis.call('ZADD', WAKE, 0, '1') end
return duplicates
