-- The namespace's clock in ms: Redis TIME plus a skew that keeps it going forward without leaps. Its state
-- is one field of `meta`, "skew tick allowance next": `tick` is the last sign of life of a sweeper or a
-- session, `next` a moment that is not after the first deadline.
-- Invariant: it never goes back behind a renewal or a sweep, and it stands still while there was
-- neither (Redis or every replica away), so that an outage shifts all deadlines at once without
-- touching one of them.
local kernel = use("base/kernel")
local memo = use("base/memo")
local layout = use("base/layout")
local call, floor = redis.call, math.floor

-- Used until the first sweep stores how long the sweepers may be silent.
local FIRST_ALLOWANCE = 5000
-- The first deadline of a namespace without sessions.
local NEVER = 2 ^ 53

local clock = {}

local parse = memo(function(text)
  local skew, tick, allowance, next = text:match("^(%S+) (%S+) (%S+) (%S+)$")
  return { skew = tonumber(skew), tick = tonumber(tick), allowance = tonumber(allowance),
    next = tonumber(next) }
end)

local START = { skew = 0, allowance = FIRST_ALLOWANCE, next = NEVER }

-- Reads the time once per call, and fails when this library does not know the namespace's layout.
function clock.read()
  if current.now then return end
  local time = call("TIME")
  current.wall = time[1] * 1000 + floor(time[2] / 1000)
  layout.check()
  local stored = call("HGET", current.meta, "clock")
  local state = stored and parse(stored) or START
  current.clock, current.skew = state, state.skew
  local now, tick = current.wall + state.skew, state.tick
  current.now = now
  if tick and now < tick then
    current.now = tick
  elseif tick and now > tick + state.allowance then
    kernel.need_writes()
    current.skew = state.skew - (now - tick)
    current.now = tick
    clock.store({})
  end
end

-- changes: of tick, allowance and next.
function clock.store(changes)
  local was = current.clock
  local state = { skew = current.skew, tick = changes.tick or was.tick or current.now,
    allowance = changes.allowance or was.allowance, next = changes.next or was.next }
  current.clock = state
  call("HSET", current.meta, "layout", layout.value(), "clock", ("%.0f %.0f %.0f %.0f"):format(
    state.skew, state.tick, state.allowance, state.next))
end

-- Answers whether a session has expired. The first deadline is read only once `next` has passed.
function clock.is_due()
  if current.now < current.clock.next then return false end
  kernel.need_writes()
  local first = call("ZRANGE", kernel.key("deadlines"), 0, 0, "WITHSCORES")
  local deadline = tonumber(first[2] or NEVER)
  if deadline <= current.now then return true end
  clock.store({ next = deadline })
  return false
end

-- Records a sweep: deadlines count again, for at most `ms` until the next one. A namespace that nobody
-- has used yet stays untouched.
function clock.note_sweep(ms)
  if not current.clock.tick then return end
  current.skew = current.now - current.wall
  clock.store({ tick = current.now, allowance = ms })
end

-- Records a renewal until `deadline`, which proves as well as a sweep that the service works.
function clock.note_renewal(deadline)
  local state = current.clock
  local earlier = deadline < state.next
  if earlier or not state.tick or current.now > state.tick then
    clock.store({ tick = current.now, next = earlier and deadline or state.next })
  end
end

-- Forgets the stored state, which was removed in this call.
function clock.reset()
  current.clock = START
end

-- Keeps an expired session expired, because an outage takes the clock back to its last tick.
function clock.note_expiry()
  if current.now > (current.clock.tick or 0) then clock.store({ tick = current.now }) end
end

-- Wall time of a moment on this clock, if no outage comes before it.
function clock.to_wall(moment)
  return moment - current.skew
end

return clock
