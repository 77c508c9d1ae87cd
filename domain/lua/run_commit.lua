-- BPF_PROG_TEST_RUN, second half: a run takes effect if all that it read is still so, else not at all.
-- Packed: { reads, ops }. Reads are { map, kind, ... }:
--   "value", key, value (false: absent), the prefix found or nothing   "present", key, 0 or 1
--   "full"   "unchanged", revision   "positions", producer, consumer
-- ops { map, kind, ... } in the order in which the run did them:
--   "update", key, value, flags   "write", key, value   "add", key, offset, numbers   "delete", key
--   "touch", key   "push", value, flags   "pop"   "output", data, flags
-- Invariant: nothing fails after the first write; run_room.lua has found the room.
local kernel = use("kernel")
local map = use("map")
local run_map = use("run_map")
local run_room = use("run_room")
local call = redis.call

local run_commit = { sys = {} }

local loaded = {}

-- nil for a map that is gone: whoever ran the program no longer holds it.
local function load(id)
  if loaded[id] == nil then
    loaded[id] = call("EXISTS", kernel.key("map", id)) == 1 and map.load(id)
  end
  return loaded[id]
end

local own = run_room.own

local holds = {
  value = function(m, read)
    local value, matched = run_map.lookup(m, read[3])
    return (value or false) == read[4] and (not read[5] or matched == read[5])
  end,
  present = function(m, read) return (own(m, read[3]) and 1 or 0) == read[4] end,
  full = function(m) return m.ops.entries(m) >= m.max_entries end,
  positions = function(m, read)
    local now = m.ops.positions(m)
    return now[1] == read[3] and now[2] == read[4]
  end,
  unchanged = function(m, read) return tostring(m.revision) == tostring(read[3]) end,
}

-- Numbers of 4 or 8 bytes, little-endian, added part by part with the carry.
local function sum(a, b)
  local out, carry = {}, 0
  for i = 1, #a, 2 do
    local part = struct.unpack("<I2", a, i) + struct.unpack("<I2", b, i) + carry
    carry = part > 65535 and 1 or 0
    out[#out + 1] = struct.pack("<I2", part % 65536)
  end
  return table.concat(out)
end

-- What is written through a pointer leaves the element's place in lists alone, and is lost with it.
local function write(m, key, value)
  local store = m.ops.store or m.ops.update
  if own(m, key) then store(m, key, map.unlocked(m, value), 0) end
end

local doing = {
  update = function(m, op) m.ops.update(m, op[3], map.unlocked(m, op[4]), op[5]) end,
  write = function(m, op) write(m, op[3], op[4]) end,
  add = function(m, op)
    local value, from, numbers = own(m, op[3]), op[4], op[5]
    local old = value:sub(from + 1, from + #numbers)
    write(m, op[3], value:sub(1, from) .. sum(old, numbers) .. value:sub(from + #numbers + 1))
  end,
  -- An update before it may have evicted the element.
  delete = function(m, op) if own(m, op[3]) then m.ops.delete(m, op[3]) end end,
  touch = function(m, op) if m.ops.lookup(m, op[3]) then m.ops.touch(m, op[3]) end end,
  push = function(m, op) m.ops.update(m, "", op[3], op[4]) end,
  pop = function(m) m.ops.take(m, "") end,
  output = function(m, op) m.ops.output(m, { op[3] }, op[4]) end,
}

local function by_map(ops)
  local lists = {}
  for _, op in ipairs(ops) do
    lists[op[1]] = lists[op[1]] or {}
    table.insert(lists[op[1]], op)
  end
  return lists
end

-- What has changed so that the run has to be run again, or nil.
local function stale(reads, lists)
  for _, read in ipairs(reads) do
    local m = load(read[1])
    if not m or not holds[read[2]](m, read) then return "map " .. read[1] end
  end
  for id, ops in pairs(lists) do
    local m = load(id)
    if not m or not run_room.fits(m, ops) then return "the room in map " .. id end
  end
end

local function apply(ops, lists)
  for _, op in ipairs(ops) do doing[op[2]](loaded[op[1]], op) end
  for id, list in pairs(lists) do
    local touched = true
    for _, op in ipairs(list) do touched = touched and op[2] == "touch" end
    if not touched then map.changed(loaded[id]) end
  end
end

-- STALE, which nothing keeps, tells the service to run the program again. Answers `answer`, which the
-- record of an Idempotency-Key keeps.
function run_commit.sys.run_commit(packed, answer)
  local reads, ops = unpack(cmsgpack.unpack(packed))
  local lists = by_map(ops)
  local changed = stale(reads, lists)
  if changed then error({ errno = "STALE", detail = changed .. " has changed" }, 0) end
  local done, raised = pcall(apply, ops, lists)
  -- Of Redis itself as it is, an errno as the broken invariant that it is.
  if not done then
    if type(raised) == "table" and raised.errno then kernel.bug("a commit: " .. raised.detail) end
    error(raised, 0)
  end
  return answer
end

return run_commit
