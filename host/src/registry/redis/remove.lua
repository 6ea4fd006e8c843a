-- Removes everything of a scheduler. ARGV: 2 token.
if not is_newest(ARGV[2]) then
  return {redis.call('EXISTS', KEYS[1]) == 1 and 'fenced' or 'absent', now}
end
redis.call('UNLINK', unpack(KEYS))
return {'done', now}
