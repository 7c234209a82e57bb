-- How many jobs there are by state. What is ready is what remains: its lists are many.
--
-- Reply ready, limited, scheduled, running, dead
local limited = tonumber(redis.call('HGET', PARKED, '*') or '0')
local scheduled, running, dead = redis.call('ZCARD', SCHEDULED), redis.call('ZCARD', LEASES), redis.call('ZCARD', DEAD)
local ready = redis.call('HLEN', JOBS) - limited - scheduled - running - dead
return { ready, limited, scheduled, running, dead }
