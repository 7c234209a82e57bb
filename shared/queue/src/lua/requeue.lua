#!lua
-- Moves one dead letter back to its queue with all attempts ahead of it; its history stays.
--
-- KEYS  ready:high, ready:normal, ready:low, dead, buried, unique, wake
-- ARGV  id
-- Reply "missing", "malformed" (not ours to run; left where it is), "duplicate" (its unique key is
--       held by other work; left where it is) or "requeued"
local LANES = { h = KEYS[1], n = KEYS[2], l = KEYS[3] }
local DEAD, BURIED, UNIQUE, WAKE = KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local entry = redis.call('HGET', DEAD, ARGV[1])
if not entry then return 'missing' end
local enqueued, attempt, id, lane, job, scope, key =
  string.match(entry, '^(%d+) (%d+) (%S+) ([hnl]) (%S+) %S+ ([-wr])([^\n]*)\n')
if not enqueued then return 'malformed' end
if scope ~= '-' and redis.call('HSETNX', UNIQUE, job .. ':' .. key, id) == 0 then return 'duplicate' end

redis.call('HDEL', DEAD, ARGV[1])
redis.call('ZREM', BURIED, ARGV[1])
redis.call('RPUSH', LANES[lane], enqueued .. ' 0 ' .. string.sub(entry, #enqueued + #attempt + 3))
redis.call('ZADD', WAKE, 0, '1')
return 'requeued'
