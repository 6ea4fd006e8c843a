-- Keeps a copy, or lets go of it. ARGV: 2 scheduler, 3 the copy or nothing, 4 most copies.
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[2])
elseif redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
else
  return {'full', now}
end
return {'done', now}
