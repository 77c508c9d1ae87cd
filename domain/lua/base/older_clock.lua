-- The clock as versions from before the heartbeat know it: the field `clock` of `meta`, "skew tick allowance
-- next". This version writes it when its own skew has changed, and reads it where it has none or where
-- sessions are due, so that both can renew sessions of one namespace and none is lost.
-- Invariant: the allowance ends with ".5" when this version wrote last; the older one writes whole numbers.
local call = redis.call

local older_clock = {}

-- How long the older version's sweepers may be silent, until one of them writes what is right.
local ALLOWANCE = "20000.5"

-- Answers the time as the older version counts it, and its `next`; nothing if this version wrote last.
function older_clock.read(wall)
  local stored = call("HGET", current.meta, "clock")
  if not stored then return end
  local skew, tick, allowance, next = stored:match("^(%S+) (%S+) (%S+) (%S+)$")
  if allowance == ALLOWANCE then return end
  local now = wall + skew
  tick = tonumber(tick)
  if now < tick or now > tick + allowance then now = tick end
  return { now = now, next = tonumber(next) }
end

function older_clock.write(skew, tick, next)
  call("HSET", current.meta, "clock", ("%.0f %.0f %s %.0f"):format(skew, tick, ALLOWANCE, next))
end

return older_clock
