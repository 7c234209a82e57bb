-- Ends a pause. What was parked for it may be looked at again, and an idle worker is told to look.
--
-- ARGV  "*" for the queue, or a job's name
-- Reply 1, or 0 if it was not paused
local what = ARGV[1]
if redis.call('HDEL', PAUSED, what) == 0 then return 0 end
if what ~= '*' then redis.call('ZADD', GATES, 'XX', digits(now), 'job:' .. what) end
if has_any(READY) or redis.call('EXISTS', GATES, SCHEDULED) > 0 then wake() end
return 1
