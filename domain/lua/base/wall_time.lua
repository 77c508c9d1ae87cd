-- The time of Redis in ms.
local call, floor = redis.call, math.floor

return function()
  local time = call("TIME")
  return time[1] * 1000 + floor(time[2] / 1000)
end
