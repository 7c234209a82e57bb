local id=ARGV[1]
if not redis.call('ZSCORE', DEAD, id) then return 'missing' end
local entry=redis.call('HGET',JOBS,id)
local head=parse(entry)
if not head then return 'malformed' end
if head.scope ~= '-' and redis.call('HSETNX', UNIQUE, head.field, id) == 0 then return 'duplicate' end
redis.call('ZREM',DEAD,id)
redis.call('HDEL',DEAD_INDEX,id)
redis.call('HSET',JOBS,id,rewrite(entry,head,0,now))
push(READY,head.lane,head.tenant,{id})
wake()
return 'requeued'
