-- The heartbeat of a master, "id lost tick" in one key: `tick` is the time of Redis at the last beat, `lost`
-- the ms that do not count. Every replica beats, so a long gap is an outage of Redis or of all replicas.
-- Invariant: the master's time, that of Redis less `lost`, never goes back, and from one beat to the next it
-- goes on by at most uapi.BEAT_ALLOWANCE, also when the clock of Redis is set or a failover changes it.
local wall_time = use("base/wall_time")
local uapi = use("uapi")
local call = redis.call

local heartbeat = {}

-- A beat sooner after another changes nothing, so that many replicas write no more than a few.
local SOON_MS = 50

-- lost, tick, id; nothing before the first beat.
local function read(key)
  local stored = call("GET", key)
  if not stored then return end
  local id, lost, tick = stored:match("^(%S+) (%S+) (%S+)$")
  return tonumber(lost), tonumber(tick), id
end

-- Time that is lost between two beats.
local function lost_in(gap)
  if gap < 0 then return gap end
  return gap > uapi.BEAT_ALLOWANCE and gap - uapi.BEAT_ALLOWANCE or 0
end

-- A new heartbeat gets a new id, so that no namespace takes it for one that was lost.
local function begin(key, wall)
  return 0, wall, ("%s-%.0f"):format(key:match("{(.*)}"), wall)
end

-- Answers "id lost tick", which calls are given, and the master's time.
function heartbeat.beat(key)
  local wall = wall_time()
  local lost, tick, id = read(key)
  if not id then
    lost, tick, id = begin(key, wall)
  elseif wall < tick or wall >= tick + SOON_MS then
    lost, tick = lost + lost_in(wall - tick), wall
  else
    return ("%s %.0f %.0f"):format(id, lost, tick), wall - lost
  end
  local beat = ("%s %.0f %.0f"):format(id, lost, tick)
  call("SET", key, beat)
  return beat, tick - lost
end

-- The master's time, and the time without the bound of BEAT_ALLOWANCE.
function heartbeat.now(key)
  local wall = wall_time()
  local lost, tick = read(key)
  if not tick then return wall, wall end
  return math.min(math.max(wall, tick), tick + uapi.BEAT_ALLOWANCE) - lost, wall - lost
end

return heartbeat
