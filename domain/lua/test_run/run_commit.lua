-- BPF_PROG_TEST_RUN, second half: a run takes effect if all that it read is still so, else not at all.
-- Packed: { reads, ops }. Reads are { map, kind, ... }:
--   "value", key, value (false: absent), the prefix found or nothing   "present", key, 0 or 1
--   "full"   "unchanged", revision   "positions", producer, consumer
-- ops { map, kind, ... } in the order in which the run did them:
--   "update", key, value, flags   "write", key, value   "add", key, offset, numbers   "delete", key
--   "touch", key   "push", value, flags   "pop"   "output", data, flags
-- Invariant: nothing fails after the first write; run_limits.lua has found the room.
local kernel = use("base/kernel")
local map = use("map/map")
local run_snapshot = use("test_run/run_snapshot")
local run_values = use("test_run/run_values")
local run_limits = use("test_run/run_limits")
local call = redis.call

local own = run_values.own

local holds = {
  value = function(m, read)
    if not (m.ops.matches or m.ops.asks_value) then return own(m, read[3]) == read[4] end
    local value, matched = run_snapshot.lookup(m, read[3])
    return (value or false) == read[4] and (not read[5] or matched == read[5])
  end,
  present = function(m, read) return (own(m, read[3]) and 1 or 0) == read[4] end,
  full = function(m) return m.ops.entries(m) >= m.max_entries end,
  positions = function(m, read)
    local now = m.ops.positions(m)
    return now[1] == read[3] and now[2] == read[4]
  end,
  unchanged = function(m, read) return map.revision(m) == tostring(read[3]) end,
}

local doing = {
  update = function(m, op) m.ops.update(m, op[3], op[4], op[5]) end,
  write = function(m, op) if own(m, op[3]) then m.ops.update(m, op[3], op[4], 0) end end,
  delete = function(m, op) if own(m, op[3]) then m.ops.delete(m, op[3]) end end,
  push = function(m, op) m.ops.update(m, "", op[3], op[4]) end,
  pop = function(m) m.ops.take(m, "") end,
}

-- A run's maps, each with its reads and its ops. Maps do not meet, so that the order between them is free.
local function by_map(reads, ops)
  local parts = {}
  for kind, list in pairs({ reads = reads, ops = ops }) do
    for _, item in ipairs(list) do
      local id = item[1]
      parts[id] = parts[id] or { id = id, reads = {}, ops = {} }
      table.insert(parts[id][kind], item)
    end
  end
  return parts
end

-- Whether all is as the run saw it; not for a map that is gone: whoever ran the program no longer holds it.
local function is_unchanged(part)
  if call("EXISTS", kernel.key("map", part.id)) == 0 then return false end
  local m = map.load(part.id)
  run_limits.spend(m, part.reads, part.ops)
  run_values.fetch(m, part.reads, part.ops)
  for _, read in ipairs(part.reads) do
    if not holds[read[2]](m, read) then return false end
  end
  part.map = m
  return run_limits.fits(m, part.ops)
end

local function apply(part)
  local m, ops = part.map, run_values.summed(part.map, part.ops)
  if m.ops.apply then m.ops.apply(m, ops)
  else for _, op in ipairs(ops) do doing[op[2]](m, op) end end
  local touched = true
  for _, op in ipairs(ops) do touched = touched and op[2] == "touch" end
  if not touched then map.changed(m) end
end

local function apply_all(parts)
  for _, part in pairs(parts) do apply(part) end
end

-- STALE, which nothing keeps, tells the service to run the program again. Answers `answer`, which the
-- record of an Idempotency-Key keeps.
function kernel.sys.run_commit(packed, answer)
  local parts = by_map(unpack(cmsgpack.unpack(packed)))
  for id, part in pairs(parts) do
    if not is_unchanged(part) then error({ errno = "STALE", detail = "map " .. id .. " has changed" }, 0) end
  end
  local done, raised = pcall(apply_all, parts)
  -- Of Redis itself as it is, an errno as the broken invariant that it is.
  if not done then
    if type(raised) == "table" and raised.errno then kernel.bug("a commit: " .. raised.detail) end
    error(raised, 0)
  end
  return answer
end
