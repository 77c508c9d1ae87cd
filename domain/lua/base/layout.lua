-- The field `layout` of a namespace's `meta`: absent while the namespace is unused, uapi.LAYOUT while it is
-- in use, DELETING from the call that deletes it, DELETED when only counters are left.
-- Invariant: no version of the service touches a namespace whose layout it does not know, so a version from
-- before deletions existed leaves these namespaces alone.
local uapi = use("uapi")
local call = redis.call

local layout = {}

local DELETING, DELETED = "deleting", "deleted"

-- The counter of sessions is kept as long as records of idempotency, whose names have ids of sessions.
local KEPT_MS = 86400000

local function check_other(stored)
  if stored == DELETING then
    current.deleting = true
  elseif stored == DELETED or not stored and call("EXISTS", current.meta) == 0 then
    current.unused = true
  else
    error({ errno = "LAYOUT", detail = stored or "1" }, 0)
  end
end

-- Fails when this library does not know the namespace's layout.
function layout.check()
  local stored = call("HGET", current.meta, "layout")
  if stored ~= uapi.LAYOUT then check_other(stored) end
end

-- The value that a write of `meta` stores.
function layout.value()
  return current.deleting and DELETING or uapi.LAYOUT
end

-- How many deletions the namespace has had, those under way included.
function layout.generation()
  return call("HGET", current.meta, "generation") or "0"
end

function layout.begin_deletion()
  current.deleting = true
  call("HSET", current.meta, "layout", DELETING)
  call("HINCRBY", current.meta, "generation", 1)
end

-- The namespace is unused from now on. Ids of sessions and generations go on for a day, so that neither an
-- old token nor an old record of idempotency meets a new session.
function layout.end_deletion()
  local last, generation = call("HGET", current.meta, "session"), layout.generation()
  call("DEL", current.meta)
  call("HSET", current.meta, "layout", DELETED, "session", last or 0, "generation", generation)
  call("PEXPIRE", current.meta, KEPT_MS)
  current.deleting, current.unused = nil, true
end

-- Nothing is left in the namespace. All counters go on for a day, and the next session uses it again. To a
-- version that does not know this it is deleted.
function layout.rest()
  call("HSET", current.meta, "layout", DELETED)
  call("HDEL", current.meta, "cpus", "time", "clock")
  call("PEXPIRE", current.meta, KEPT_MS)
  current.cpus, current.unused = nil, true
end

-- The first session uses a namespace again that was deleted or empty.
function layout.keep()
  call("PERSIST", current.meta)
end

return layout
