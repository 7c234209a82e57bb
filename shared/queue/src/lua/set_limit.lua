-- Sets, changes or removes the limit of a key. Jobs parked for it are looked at again under the new one.
--
-- ARGV  key; the limit as turn.lua reads it, "" to remove it; "1" if it has a rate; most limits
-- Reply 1, or 0 if there is none to remove or there are too many already
local LIMITS, RATES = B .. ':limits', B .. ':rates'
local key, words, most = ARGV[1], ARGV[2], tonumber(ARGV[4])
if words == '' then
  if redis.call('HDEL', LIMITS, key) == 0 then return 0 end
else
  if redis.call('HEXISTS', LIMITS, key) == 0 and redis.call('HLEN', LIMITS) >= most then return 0 end
  redis.call('HSET', LIMITS, key, words)
end
if ARGV[3] ~= '1' then redis.call('HDEL', RATES, key) end
local gate = 'limit:' .. key
redis.call('ZADD', GATES, 'XX', digits(now), gate)
if redis.call('ZSCORE', GATES, gate) then wake() end
return 1
