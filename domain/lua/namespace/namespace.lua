-- Namespaces as a whole: what one holds, and its deletion, which no command of a session can do.
-- Invariants: from the first step of a deletion no session acts and none begins; each step leaves every
-- count right, because sessions, names and slots go as their own commands let them go; the item "forget" is
-- there until nothing is left, or until a second round has found what no item reaches.
local kernel = use("base/kernel")
local clock = use("base/clock")
local layout = use("base/layout")
local session = use("base/session")
local work = use("base/work")
local work_list = use("base/work_list")
local inode_count = use("fs/inode_count")
local prune = use("fs/prune")
local map = use("map/map")
local uapi = use("uapi")
local call = redis.call

local sys = kernel.sys
-- Maps whose slots one step clears.
local MAPS = 32
-- Rounds of a deletion. The second does again what a fault may have taken out of the first.
local FIRST, SECOND = "first", "second"

local function check_exists()
  if current.unused then
    kernel.fail("ENOENT", "there is no namespace " .. current.root:match("{(.*)}"))
  end
end

-- Clears the slots of some maps with greater ids; answers the last of these. Without sessions and pins only
-- slots still hold objects, in circles that Linux never frees: a devmap's program may use the devmap.
local function clear_slots(from)
  local ids = call("ZRANGEBYSCORE", kernel.key("ids:map"), "(" .. from, "+inf", "LIMIT", 0, MAPS)
  for _, id in ipairs(ids) do
    local m = map.load(id)
    if m.ops.clear then m.ops.clear(id) end
  end
  return ids[#ids]
end

local function forget()
  prune.remove_root()
  layout.end_deletion()
  clock.reset()
end

local function push_items(round)
  work.push("end_sessions")
  prune.root()
  work.push("forget", 0, round)
end

-- Whether anything is listed although no item is left, because a fault took one.
local function is_left()
  local sessions, maps = kernel.key("ids:session"), kernel.key("ids:map")
  local others = call("EXISTS", sessions, maps, kernel.key("ids:prog"), kernel.key("ids:btf"))
  return others > 0 or not prune.is_root_empty()
end

-- The last item of a deletion, which waits for all others. What the second round leaves keeps its ids, and
-- so its counters, and the mark: a new object must not meet the keys of an old one.
work.handle("forget", function(from, round)
  if work_list.has_others() then
    work_list.defer("forget", from, round)
    return 1
  end
  local last = clear_slots(from)
  if last then
    work_list.defer("forget", last, round)
  elseif not is_left() then
    forget()
  elseif round ~= SECOND then
    push_items(SECOND)
  end
  return MAPS
end)

--[[
  Describes the namespace (extension).

    Input: none
    Output:
      info  in the order of uapi.NAMESPACE_INFO
    Errors:
      ENOENT  no session was ever created in it, it was deleted, or nothing is left in it
]]
function sys.namespace_get()
  check_exists()
  work_list.need_released()
  return kernel.list_fields(uapi.NAMESPACE_INFO, {
    deleting = current.deleting and 1 or 0, cpus = session.cpus(), inodes = inode_count.read(),
    sessions = call("ZCARD", kernel.key("ids:session")),
    maps = call("ZCARD", kernel.key("ids:map")), progs = call("ZCARD", kernel.key("ids:prog")) }, {})
end

--[[
  Deletes the namespace (extension): its sessions end, its tree and its objects go. This call does what one
  step may, and sweeps do the rest. A second call changes nothing while items are left; if a fault took
  them, it begins again.

    Input: none
    Output: nothing
    Errors:
      ENOENT  no session was ever created in it, it was deleted, or nothing is left in it
]]
function sys.namespace_delete()
  check_exists()
  if current.deleting and work_list.is_left() then return end
  layout.begin_deletion()
  push_items(FIRST)
end
