-- BPF_PROG_TEST_RUN, second half: a run takes effect if all that it read is still so, else not at all.
-- Packed: { reads, ops, entries }. Reads are { map, kind, ... }:
--   "value", key, value (false: absent), the prefix found or nothing   "present", key, 0 or 1
--   "full"   "unchanged", revision
-- ops { map, kind, ... } in the order in which the run did them:
--   "update", key, value, flags   "write", key, value   "add", key, offset, numbers   "delete", key
--   "touch", key   "push", value, flags   "pop"   "output", data, flags
-- and entries { map, elements when fetched, how many may be new } of the maps that are updated.
-- Invariant: what could fail for want of room is found out before the first write.
local kernel = use("kernel")
local map = use("map")
local run = use("run")
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

-- The value of just this key.
local function own(m, key)
  return (m.ops.own or m.ops.lookup)(m, key)
end

local holds = {
  value = function(m, read)
    local value, matched = run.lookup(m, read[3])
    return (value or false) == read[4] and (not read[5] or matched == read[5])
  end,
  present = function(m, read) return (own(m, read[3]) and 1 or 0) == read[4] end,
  full = function(m) return m.ops.entries(m) >= m.max_entries end,
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
  if own(m, key) then store(m, key, value, 0) end
end

local doing = {
  update = function(m, op) m.ops.update(m, op[3], op[4], op[5]) end,
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

-- What went through a ring buffer, to see whether it all fits.
local function records(ops)
  local list = {}
  for _, op in ipairs(ops) do
    if op[2] == "output" then
      list[op[1]] = list[op[1]] or {}
      table.insert(list[op[1]], op[3])
    end
  end
  return list
end

local function stale(reads, ops, entries)
  for _, read in ipairs(reads) do
    local m = load(read[1])
    if not m or not holds[read[2]](m, read) then return "map " .. read[1] end
  end
  for _, op in ipairs(ops) do
    if not load(op[1]) then return "map " .. op[1] end
  end
  for _, count in ipairs(entries) do
    local m = load(count[1])
    if not m then return "map " .. count[1] end
    local now = m.ops.entries(m)
    local fits = m.ops.touch or now == count[2] or now + count[3] <= m.max_entries
    if not fits then return "the room in map " .. m.id end
  end
  for id, list in pairs(records(ops)) do
    local m = load(id)
    if not m.ops.fits(m, list) then return "the room in map " .. id end
  end
end

-- STALE, which nothing keeps, tells the service to run the program again. Answers `answer`, which the
-- record of an Idempotency-Key keeps.
function run_commit.sys.run_commit(packed, answer)
  local reads, ops, entries = unpack(cmsgpack.unpack(packed))
  local changed = stale(reads, ops, entries)
  if changed then error({ errno = "STALE", detail = changed .. " has changed" }, 0) end
  local touched = {}
  for _, op in ipairs(ops) do
    doing[op[2]](loaded[op[1]], op)
    if op[2] ~= "touch" then touched[op[1]] = true end
  end
  for id in pairs(touched) do map.changed(loaded[id]) end
  return answer
end

return run_commit
