-- The namespace's clock in ms: the time of its master, in which outages do not count (master/heartbeat.lua),
-- plus an offset. Each call is given the master's last beat. The clock's state is one field of `meta`,
-- "offset tick next base skew": `tick` is the highest moment that was written, `next` a moment that is not
-- after the first deadline, `base` the heartbeat that the offset belongs to, `skew` what older_clock.lua was
-- given.
-- Invariant: it never goes back behind a moment that was written, and never counts more of an outage than
-- uapi.BEAT_ALLOWANCE, in whatever order Redis runs what was sent before the outage.
local kernel = use("base/kernel")
local beat = use("base/beat")
local memo = use("base/memo")
local layout = use("base/layout")
local older_clock = use("base/older_clock")
local wall_time = use("base/wall_time")
local call, max, min = redis.call, math.max, math.min

-- The first deadline of a namespace without sessions.
local NEVER = 2 ^ 53
-- A call may run so long after it was sent; see clock.latest().
local LATE_MS = 1000

local clock = {}

local parse = memo(function(text)
  local offset, tick, next, base, skew = text:match("^(%S+) (%S+) (%S+) (%S+) (%S+)$")
  return { offset = tonumber(offset), tick = tonumber(tick), next = tonumber(next), base = base,
    skew = tonumber(skew) }
end)

-- The state of a clock that is not stored.
local function unstored()
  return { offset = current.beat.lost, next = NEVER, base = current.beat.id }
end

-- Begins a clock, or goes on from `moment` by another heartbeat, with the time that it shows.
local function adopt(moment, next)
  kernel.need_writes()
  current.now = moment
  clock.store({ tick = moment, next = next, offset = moment - current.master, base = current.beat.id })
end

-- The time without a stored state: that of Redis in a new namespace, or that of an older version.
local function begin()
  current.clock = unstored()
  current.now = current.master + current.beat.lost
  local older = not current.unused and older_clock.read(current.wall)
  if older then adopt(older.now, older.next) end
end

-- Reads the time once per call, and fails when this library does not know the namespace's layout.
function clock.read()
  if current.now then return end
  local wall = wall_time()
  current.wall = wall
  layout.check()
  local stored = call("HGET", current.meta, "time")
  local given = beat.read(current.beat, wall)
  local master = beat.master_time(given, wall)
  current.beat, current.master = given, master
  if not stored then return begin() end
  local state = parse(stored)
  current.clock = state
  if state.base == given.id then
    local now = master + state.offset
    current.now = now < state.tick and state.tick or now
  elseif given.id == beat.NONE then
    current.now = state.tick
  else
    adopt(state.tick)
  end
end

-- A moment that is not before the time of the newest beat, if the call was not longer on its way than that. A
-- replica that stood still does not know how far others have gone on, so renewals count from here.
function clock.latest()
  local given, now = current.beat, current.now
  if current.wall <= given.last then return now end
  return min(max(current.wall - given.lost + current.clock.offset, now), now + LATE_MS)
end

-- changes: of offset, tick, next and base.
function clock.store(changes)
  local was = current.clock
  local state = { offset = changes.offset or was.offset, tick = changes.tick or was.tick or current.now,
    next = changes.next or was.next, base = changes.base or was.base, skew = was.skew }
  local skew = state.offset - current.beat.lost
  if skew ~= state.skew then
    state.skew = skew
    older_clock.write(skew, state.tick, state.next)
  end
  current.clock = state
  local time = ("%.0f %.0f %.0f %s %.0f"):format(state.offset, state.tick, state.next, state.base, state.skew)
  -- The first write of a namespace gives it its layout, too.
  if was.tick then return call("HSET", current.meta, "time", time) end
  call("HSET", current.meta, "layout", layout.value(), "time", time)
end

-- Goes back to the time of an older version that has written since this one, because it renews by its own.
function clock.heed_older()
  if not current.clock.tick then return end
  local older = older_clock.read(current.wall)
  if not older then return end
  current.now = min(current.now, older.now)
  current.clock = { tick = current.now, next = min(older.next, current.clock.next),
    offset = current.now - current.master, base = current.beat.id }
  clock.store({})
end

-- Answers whether a session has expired. The first deadline is read only once `next` has passed.
function clock.is_due()
  if current.now < current.clock.next then return false end
  kernel.need_writes()
  clock.heed_older()
  local deadline = clock.first_deadline()
  if deadline and deadline <= current.now then return true end
  clock.store({ next = deadline or NEVER })
  return false
end

function clock.first_deadline()
  return tonumber(call("ZRANGE", kernel.key("deadlines"), 0, 0, "WITHSCORES")[2])
end

-- Records a renewal until `deadline`.
function clock.note_renewal(deadline)
  local state = current.clock
  local earlier = deadline < state.next
  if earlier or not state.tick or current.now > state.tick then
    clock.store({ tick = current.now, next = earlier and deadline or state.next })
  end
end

-- Forgets the stored state, which was removed in this call.
function clock.reset()
  current.clock = unstored()
end

-- Keeps an expired session expired for a call that was given an older beat.
function clock.note_expiry()
  if current.now <= (current.clock.tick or 0) then return end
  kernel.need_writes()
  clock.store({ tick = current.now })
end

-- Wall time of a moment on this clock, if no outage comes before it.
function clock.to_wall(moment)
  return moment - current.clock.offset + current.beat.lost
end

return clock
