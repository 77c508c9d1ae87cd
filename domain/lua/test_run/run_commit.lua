-- Compares what a run read with what the maps hold now, and applies what it wrote.
-- Invariant: nothing fails after the first write, because run_limits.lua has checked that all of it fits.
local kernel = use("base/kernel")
local work_list = use("base/work_list")
local map = use("map/map")
local run_snapshot = use("test_run/run_snapshot")
local run_values = use("test_run/run_values")
local run_limits = use("test_run/run_limits")
local uapi = use("uapi")
local call = redis.call

local lookup_exact = run_values.lookup_exact
local READ, WRITE = uapi.READ_AT, uapi.WRITE_AT
-- Every entry begins with these, and every entry of an element goes on with its key.
local MAP, KIND, KEY = READ.value.map, READ.value.kind, READ.value.key
local VALUE, MATCHED, PRESENT = READ.value.value, READ.value.matched, READ.present.present
local PRODUCER, CONSUMER = READ.positions.producer, READ.positions.consumer
local REVISION = READ.unchanged.revision
local NEW_VALUE, FLAGS = WRITE.update.value, WRITE.update.flags
local PUSHED, PUSH_FLAGS = WRITE.push.value, WRITE.push.flags

local comparisons = {
  value = function(m, read)
    if not (m.ops.longest_match or m.ops.lookup_by_value) then
      return lookup_exact(m, read[KEY]) == read[VALUE]
    end
    local value, matched = run_snapshot.lookup(m, read[KEY])
    return (value or false) == read[VALUE] and (not read[MATCHED] or matched == read[MATCHED])
  end,
  present = function(m, read) return (lookup_exact(m, read[KEY]) and 1 or 0) == read[PRESENT] end,
  full = function(m) return m.ops.entries(m) >= m.max_entries end,
  positions = function(m, read)
    local now = m.ops.positions(m)
    return now[1] == read[PRODUCER] and now[2] == read[CONSUMER]
  end,
  unchanged = function(m, read) return map.revision(m) == tostring(read[REVISION]) end,
}

local apply_one = {
  update = function(m, write) m.ops.update(m, write[KEY], write[NEW_VALUE], write[FLAGS]) end,
  write = function(m, write)
    if lookup_exact(m, write[KEY]) then m.ops.update(m, write[KEY], write[NEW_VALUE], 0) end
  end,
  delete = function(m, write) if lookup_exact(m, write[KEY]) then m.ops.delete(m, write[KEY]) end end,
  push = function(m, write) m.ops.update(m, "", write[PUSHED], write[PUSH_FLAGS]) end,
  pop = function(m) m.ops.lookup_and_delete(m, "") end,
}

-- A run's maps, each with its reads and writes. Maps are independent, so their order is free.
local function by_map(reads, writes)
  local parts = {}
  for kind, list in pairs({ reads = reads, writes = writes }) do
    for _, item in ipairs(list) do
      local id = item[MAP]
      parts[id] = parts[id] or { id = id, reads = {}, writes = {} }
      table.insert(parts[id][kind], item)
    end
  end
  return parts
end

-- Whether the map still holds what the run read, and has room for what it wrote. False for a map that is
-- gone, too, because the caller no longer holds it.
local function can_commit(part)
  if call("EXISTS", kernel.key("map", part.id)) == 0 then return false end
  local m = map.load(part.id)
  if m.ops.release_uref then work_list.need_released() end
  run_limits.spend(m, part.reads, part.writes)
  run_values.fetch(m, part.reads, part.writes)
  for _, read in ipairs(part.reads) do
    if not comparisons[read[KIND]](m, read) then return false end
  end
  part.map = m
  return run_limits.fits(m, part.writes)
end

local function apply(part)
  local m, writes = part.map, run_values.resolve_adds(part.map, part.writes)
  if m.ops.apply then m.ops.apply(m, writes)
  else for _, write in ipairs(writes) do apply_one[write[KIND]](m, write) end end
  local only_touched = true
  for _, write in ipairs(writes) do only_touched = only_touched and write[KIND] == "touch" end
  if not only_touched then map.bump_revision(m) end
end

local function apply_all(parts)
  for _, part in pairs(parts) do apply(part) end
end

--[[
  BPF_PROG_TEST_RUN, second half: applies a run if all that it read is unchanged.

    Input:
      packed  { reads, writes } of the run, in the fields of uapi.READ_AT and uapi.WRITE_AT; writes in order.
              A read `value` is false for an absent key; `matched` is the prefix that an LPM trie found
      answer  of the run, which the record of an Idempotency-Key keeps; "" without one
    Output:
      answer
    Errors:
      STALE  something has changed: the service runs the program again
      E2BIG  the run reads or changes more than one script does in time
]]
function kernel.sys.run_commit(packed, answer)
  local parts = by_map(unpack(cmsgpack.unpack(packed)))
  for id, part in pairs(parts) do
    if not can_commit(part) then
      error({ errno = "STALE", detail = "map " .. id .. " has changed since the run's snapshot" }, 0)
    end
  end
  local done, raised = pcall(apply_all, parts)
  -- An errno here is a broken invariant; an error of Redis itself is passed on.
  if not done then
    if type(raised) == "table" and raised.errno then kernel.bug("a commit: " .. raised.detail) end
    error(raised, 0)
  end
  return answer
end
