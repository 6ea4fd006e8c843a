-- Who works. ARGV: 2 a member, 3 for how long it is there, 4 most members; without a time the member goes.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[2])
elseif redis.call('ZSCORE', KEYS[1], ARGV[2]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
else
  return {'full', now}
end
return {'there', now, redis.call('ZRANGE', KEYS[1], 0, -1)}
