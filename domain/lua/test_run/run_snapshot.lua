-- Maps as a run is shown them, in the modes of run.lua.
local kernel = use("kernel")
local map = use("map")
local run_room = use("run_room")
local call = redis.call

local run_map = {}

-- More than one script can read in time is refused; what is shown unasked, when there is no room for it
-- is left out.
local room = { bytes = 1048576, elements = 4096 }
local spare = { bytes = 262144, elements = 2048 }
-- So few elements are shown whole, and so many of a queue, unasked.
local FEW, FRONT = 32, 16

local function take(from, count, bytes)
  if count > from.elements or bytes > from.bytes then return false end
  from.elements, from.bytes = from.elements - count, from.bytes - bytes
  return true
end

local function need(m, count)
  if not take(room, count, count * (m.key_size + m.value_bytes)) then
    kernel.fail("E2BIG", "map " .. m.id .. ": a run reads at most 4096 elements and 1 MiB of maps")
  end
end

local function elements(m, count)
  return 1, count > 0 and m.ops.page(m, nil, count) or {}
end

-- The value, and the key that was found; for a Bloom filter, which is asked for a value, nothing or "".
function run_map.lookup(m, key)
  if m.ops.asks_value then return m.ops.lookup(m, "", key) and "" end
  return m.ops.lookup(m, key)
end

-- Key, value and the key that was found by turns.
local function some(m, want)
  local list, values = {}, {}
  need(m, (#want - 2) * run_room.look_cost(m))
  local keys = { unpack(want, 3) }
  if m.ops.many and not m.ops.matches and #keys > 0 then values = m.ops.many(m, keys) end
  for i, key in ipairs(keys) do
    local value, matched = values[i], nil
    if value == nil then value, matched = run_map.lookup(m, key) end
    list[3 * i - 2], list[3 * i - 1], list[3 * i] = key, value or false, matched or false
  end
  return 0, list
end

-- All values of an array, if it is small and there is room.
local function image(m, from, entries)
  local bytes = entries * m.value_bytes
  local all = m.ops.image and bytes <= from.bytes and m.ops.image(m)
  return all and take(from, 1, bytes) and all
end

local shown = {}

function shown.keys(m, want, entries)
  local bytes = m.key_size + m.value_bytes
  local all = image(m, spare, entries)
  if all then return 1, all end
  local few = entries <= FEW and not m.ops.matches and m.key_size > 0
  if few and take(spare, entries, entries * bytes) then return elements(m, entries) end
  return some(m, want)
end

function shown.whole(m, want, entries)
  if m.ops.front then return shown.front(m, { nil, nil, FRONT }, entries) end
  local all = image(m, room, entries)
  if all then return 1, all end
  need(m, entries)
  return elements(m, entries)
end

function shown.front(m, want, entries)
  if not m.ops.front then return shown.keys(m, { want[1], "keys" }, entries) end
  local count = math.min(want[3], entries)
  if want[3] <= FRONT then
    if not take(spare, count, count * m.value_bytes) then count = 0 end
  else need(m, count) end
  return 0, count > 0 and m.ops.front(m, count) or {}
end

function run_map.attributes(m)
  return { m.id, m.type, m.locks, m.key_size, m.value_size, m.max_entries, m.flags, m.value_bytes }
end

-- Attributes, revision, entries, positions of a ring buffer, whether all is there, the elements.
function run_map.view(want)
  if call("EXISTS", kernel.key("map", want[1])) == 0 then return false end
  local m = map.load(want[1])
  local entries = m.ops.entries(m)
  local positions = m.ops.positions and m.ops.positions(m) or false
  return { run_map.attributes(m), m.revision, entries, positions, shown[want[2]](m, want, entries) }
end

return run_map
