-- Pauses a queue or one of its job types. Running jobs run on; what waits stays where it is, or is parked
-- at the gate of its type when its turn comes.
--
-- ARGV  "*" for the queue, or a job's name; who and why as JSON, which gets the time added; most pauses
-- Reply 1, or 0 if there are too many pauses already
local what, note, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('HEXISTS', PAUSED, what) == 0 and redis.call('HLEN', PAUSED) >= most then return 0 end
redis.call('HSET', PAUSED, what, '{"at":' .. digits(now) .. ',' .. string.sub(note, 2))
return 1
