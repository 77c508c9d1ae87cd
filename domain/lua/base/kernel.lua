-- What every command shares: the names of keys and the way to fail.
-- Invariant: a command checks everything before its first write, so failing is raising: there is
-- nothing to roll back, and syscall.lua turns what was raised into data.
local call = redis.call
local root = KEYS[1]

local kernel = {}

-- bpf:{ns}:noun or bpf:{ns}:noun:id; the only place where a key gets its name.
function kernel.key(noun, id)
  if id then return root .. noun .. ":" .. id end
  return root .. noun
end

function kernel.fail(errno, detail)
  error({ errno = errno, detail = detail or "" }, 0)
end

-- Like BUG_ON: a broken invariant is a fault of this service, never of the caller.
function kernel.bug(what)
  error("BUG: " .. what, 0)
end

-- The next number of a counter that never goes back.
function kernel.next(counter)
  return call("HINCRBY", root .. "meta", counter, 1)
end

return kernel
