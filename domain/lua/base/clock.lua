-- The namespace's clock in ms: Redis TIME plus a skew that keeps it going forward without leaps.
-- Invariant: it never goes back behind a renewal or a sweep, and it stands still while there was
-- neither (Redis or every replica away), so that an outage shifts all deadlines at once without
-- touching one of them.
local kernel = use("kernel")
local call = redis.call
local META = kernel.key("meta")

-- Until the first sweep has told how long the sweepers may be silent.
local FIRST_ALLOWANCE = 5000

local clock = {}

local time = call("TIME")
clock.wall = time[1] * 1000 + math.floor(time[2] / 1000)

local stored = call("HMGET", META, "skew", "tick", "allowance")
local skew = tonumber(stored[1]) or 0
local tick = tonumber(stored[2])
local allowance = tonumber(stored[3]) or FIRST_ALLOWANCE

clock.now = clock.wall + skew
if tick then
  if clock.now < tick then
    clock.now = tick
  elseif clock.now > tick + allowance then
    skew = skew - (clock.now - tick)
    clock.now = tick
    call("HSET", META, "skew", skew)
  end
end

-- Whether a session's time is over.
function clock.due()
  local first = call("ZRANGE", kernel.key("deadlines"), 0, 0, "WITHSCORES")
  return first[1] and tonumber(first[2]) <= clock.now
end

-- A sweeper was here: deadlines count again, for at most `ms` until the next one.
function clock.tick(ms)
  allowance = ms
  skew = clock.now - clock.wall
  call("HSET", META, "skew", skew, "tick", clock.now, "allowance", ms)
end

-- A renewal shows that sessions could be renewed, whether or not a sweeper was here.
function clock.touch()
  if not tick or clock.now > tick then call("HSET", META, "tick", clock.now) end
end

-- The first session of a namespace starts its clock; the sweepers keep it going.
function clock.start()
  clock.tick(allowance)
end

-- Wall time of a moment on this clock, if no outage comes before it.
function clock.to_wall(moment)
  return moment - skew
end

return clock
