-- The last beat of the namespace's master, "id lost tick", which each call is given (master/heartbeat.lua).
local memo = use("base/memo")
local uapi = use("uapi")

local beat = {}

-- The id for a call whose service has no beat of this master yet.
beat.NONE = "-"

local parse = memo(function(text)
  local id, lost, tick = text:match("^(%S+) (%S+) (%S+)$")
  local first = tonumber(tick)
  return { id = id, lost = tonumber(lost), first = first, last = first + uapi.BEAT_ALLOWANCE }
end)

function beat.read(text, wall)
  if text ~= "" then return parse(text) end
  return { id = beat.NONE, lost = 0, first = wall, last = wall }
end

-- The master's time at the call: that of Redis, as far as the beat lets it go.
function beat.master_time(given, wall)
  if wall > given.last then return given.last - given.lost end
  return (wall < given.first and given.first or wall) - given.lost
end

return beat
