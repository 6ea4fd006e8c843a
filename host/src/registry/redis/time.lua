-- Before every script: the registry's time. ARGV[1] is an offset in milliseconds that only tests move.
-- Numbers are doubles: microseconds since 1970 are exact in them until the year 2255.
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2] + ARGV[1] * 1000
local now = math.floor(micros / 1000)
