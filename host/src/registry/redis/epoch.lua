-- Ends recovery, or begins it. ARGV: 2 token, 3 the epoch ('': recovering).
if not is_newest(ARGV[2]) then
  return {'fenced', now}
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'epoch')
  return {'done', now}
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3])
-- Adopted rooms may be promised from now on. A silent one steps aside again.
local held = redis.call('HGETALL', KEYS[5])
for i = 2, #held, 2 do
  redis.call('ZADD', KEYS[4], 0, held[i])
end
redis.call('UNLINK', KEYS[5], KEYS[9], KEYS[10])
return {'done', now}
