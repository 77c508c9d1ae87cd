-- A sweeper's visit of a namespace.
local kernel = use("base/kernel")
local clock = use("base/clock")
local layout = use("base/layout")
local exit = use("process/exit")
local prune = use("fs/prune")
local btf = use("btf/btf")
local call = redis.call

-- Whether nothing is left but counters and what expires by itself.
local function is_empty()
  return call("EXISTS", kernel.key("ids:session"), kernel.key("ids:map"), kernel.key("ids:prog"),
    kernel.key("ids:btf")) == 0
    and prune.is_root_untouched()
end

local function rest()
  prune.remove_root()
  layout.rest()
  clock.reset()
end

--[[
  Ends sessions that are due and goes on with freeing: one turn of a sweeper (internal).

    Input: none
    Output:
      more      1 when work is left, else 0
      sessions  number of sessions of the namespace
      exists    1 when the namespace is in use or being deleted, else 0
      delay     ms until the first session is due, false without sessions
    Errors: none
]]
function kernel.sys.sweep()
  clock.heed_older()
  btf.reap()
  local is_due, is_left = exit.release()
  local more = is_due or is_left
  if not (more or current.unused or current.deleting) and is_empty() then rest() end
  local deadline = clock.first_deadline()
  return more and 1 or 0, call("ZCARD", kernel.key("deadlines")), current.unused and 0 or 1,
    deadline and math.ceil(deadline - current.now) or false
end
