-- Maps as a run is shown them, in the modes of test_run.lua.
local kernel = use("base/kernel")
local map = use("map/map")
local paged = use("map/paged")
local run_limits = use("test_run/run_limits")
local uapi = use("uapi")
local call = redis.call

local run_snapshot = {}

-- More than one script can read in time is refused; what is shown unasked, when there is no room for it
-- is left out.
local ROOM = { bytes = 1048576, elements = 4096 }
local SPARE = { bytes = 262144, elements = 2048 }
-- So few elements are shown whole, and so many of a queue, unasked.
local FEW, FRONT = 32, 16

-- Takes from what is left of `limit` in this call; false when there is not as much.
local function take(limit, count, bytes)
  local taken = current.snapshot or { [ROOM] = {}, [SPARE] = {} }
  current.snapshot = taken
  local elements, all = (taken[limit].elements or 0) + count, (taken[limit].bytes or 0) + bytes
  if elements > limit.elements or all > limit.bytes then return false end
  taken[limit].elements, taken[limit].bytes = elements, all
  return true
end

local function need(m, count)
  if not take(ROOM, count, count * (m.key_size + m.value_bytes)) then
    kernel.fail("E2BIG", "map " .. m.id .. ": a run reads at most 4096 elements and 1 MiB of maps")
  end
end

local function elements(m, count)
  local list = count > 0 and m.ops.page(m, nil, count) or {}
  if m.ops.stored then
    for i = 2, #list, 2 do list[i] = paged.padded(list[i], m.value_bytes) end
  end
  return 1, list
end

-- The value, and the key that was found; for a Bloom filter, which is asked for a value, nothing or "".
function run_snapshot.lookup(m, key)
  if m.ops.asks_value then return m.ops.lookup(m, "", key) and "" end
  return m.ops.lookup(m, key)
end

-- Key, value and the key that was found by turns.
local function some(m, want)
  local list, values = {}, {}
  need(m, (#want - 2) * run_limits.look_cost(m))
  local keys = { unpack(want, 3) }
  if m.ops.many and not m.ops.matches and #keys > 0 then values = m.ops.many(m, keys) end
  for i, key in ipairs(keys) do
    local value, matched = values[i], nil
    if value == nil then value, matched = run_snapshot.lookup(m, key) end
    list[3 * i - 2], list[3 * i - 1], list[3 * i] = key, value or false, matched or false
  end
  return 0, list
end

-- All values of an array, if it is small and there is room.
local function image(m, limit, entries)
  local bytes = entries * m.value_bytes
  local all = m.ops.image and bytes <= limit.bytes and m.ops.image(m)
  return all and take(limit, 1, bytes) and all
end

local shown = {}

function shown.keys(m, want, entries)
  local bytes = m.key_size + m.value_bytes
  local all = image(m, SPARE, entries)
  if all then return 1, all end
  local few = entries <= FEW and not m.ops.matches and m.key_size > 0
  if few and take(SPARE, entries, entries * bytes) then return elements(m, entries) end
  return some(m, want)
end

function shown.whole(m, want, entries)
  if m.ops.front then return shown.front(m, { nil, nil, FRONT }, entries) end
  local all = image(m, ROOM, entries)
  if all then return 1, all end
  need(m, entries)
  return elements(m, entries)
end

function shown.front(m, want, entries)
  if not m.ops.front then return shown.keys(m, { want[1], "keys" }, entries) end
  local count = math.min(want[3], entries)
  if want[3] <= FRONT then
    if not take(SPARE, count, count * m.value_bytes) then count = 0 end
  else need(m, count) end
  return 0, count > 0 and m.ops.front(m, count) or {}
end

function run_snapshot.attributes(m)
  return kernel.row(uapi.RUN_MAP, m, m)
end

-- Attributes, revision, entries, positions of a ring buffer, whether all is there, the elements.
function run_snapshot.view(want)
  if call("EXISTS", kernel.key("map", want[1])) == 0 then return false end
  local m = map.load(want[1])
  local entries = m.ops.entries(m)
  local positions = m.ops.positions and m.ops.positions(m) or false
  return { run_snapshot.attributes(m), map.revision(m), entries, positions, shown[want[2]](m, want, entries) }
end

return run_snapshot
