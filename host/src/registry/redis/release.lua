-- Gives the lease back. ARGV: 2 token.
if is_newest(ARGV[2]) then
  redis.call('HDEL', KEYS[1], 'holder', 'until')
end
return {'done', now}
