-- The witness clock: format, beginning, total, last heartbeat. It begins at the time, so that one that begins after a
-- loss stands ahead of each time of the one before. ARGV: 2 what it must be to be changed ('': only read), 3 what
-- it shall be.
local witness = redis.call('GET', KEYS[1])
if not witness then
  witness = string.format('1 %.0f %.0f -', now, now)
  redis.call('SET', KEYS[1], witness)
elseif witness == ARGV[2] then
  witness = ARGV[3]
  redis.call('SET', KEYS[1], witness)
end
return {'witness', now, witness}
