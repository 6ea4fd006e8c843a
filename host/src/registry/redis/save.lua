-- Writes the holder's state whole. ARGV: 2 token, 3 state, 4 how the scheduler stands.
if not is_newest(ARGV[2]) then
  return {'fenced', now}
end
redis.call('SET', KEYS[8], ARGV[3])
redis.call('HSET', KEYS[1], 'standing', ARGV[4])
return {'done', now}
