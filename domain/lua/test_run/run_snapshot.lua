-- Reads the snapshot of a map that a run works on, in the modes of test_run.lua.
local kernel = use("base/kernel")
local work_list = use("base/work_list")
local map = use("map/map")
local paged = use("map/array/paged")
local run_limits = use("test_run/run_limits")
local uapi = use("uapi")
local call = redis.call

local run_snapshot = {}

-- A request beyond REQUESTED is refused: one script may not take longer. Content that nobody asked for is
-- left out when it does not fit into UNREQUESTED.
local REQUESTED = { bytes = 1048576, elements = 4096 }
local UNREQUESTED = { bytes = 262144, elements = 2048 }
-- A map of so few elements is sent whole, and so many elements of a queue are sent, without a request.
local FEW, FRONT = 32, 16

-- Spends some of `limit` in this call; false when less is left.
local function spend(limit, count, bytes)
  local spent = current.snapshot or { [REQUESTED] = {}, [UNREQUESTED] = {} }
  current.snapshot = spent
  local elements, all = (spent[limit].elements or 0) + count, (spent[limit].bytes or 0) + bytes
  if elements > limit.elements or all > limit.bytes then return false end
  spent[limit].elements, spent[limit].bytes = elements, all
  return true
end

local function require_room(m, count)
  if not spend(REQUESTED, count, count * (m.key_size + m.value_bytes)) then
    kernel.fail("E2BIG", "map " .. m.id .. ": a run may read at most 4096 elements and 1 MiB of all maps")
  end
end

local function elements(m, count)
  local list = count > 0 and m.ops.page(m, nil, count) or {}
  if m.ops.lookup_trimmed then
    for i = 2, #list, 2 do list[i] = paged.pad_with_zeros(list[i], m.value_bytes) end
  end
  return 1, list
end

-- The value, and the key that an LPM trie found; "" for a value that is in a Bloom filter.
function run_snapshot.lookup(m, key)
  if m.ops.lookup_by_value then return m.ops.lookup(m, "", key) and "" end
  return m.ops.lookup(m, key)
end

-- Returns a flat list with three items for each key: the key, its value and the key that was found.
local function lookup_keys(m, request)
  local list, values = {}, {}
  require_room(m, (#request - 2) * run_limits.lookup_cost(m))
  local keys = { unpack(request, 3) }
  if m.ops.lookup_many and not m.ops.longest_match and #keys > 0 then values = m.ops.lookup_many(m, keys) end
  for i, key in ipairs(keys) do
    local value, matched = values[i], nil
    if value == nil then value, matched = run_snapshot.lookup(m, key) end
    list[3 * i - 2], list[3 * i - 1], list[3 * i] = key, value or false, matched or false
  end
  return 0, list
end

-- All values of an array, if they fit into the limit.
local function dump_all(m, limit, entries)
  local bytes = entries * m.value_bytes
  local all = m.ops.dump_all and bytes <= limit.bytes and m.ops.dump_all(m)
  return all and spend(limit, 1, bytes) and all
end

-- By mode: 1 when the content is complete, then the content.
local fetch = {}

function fetch.keys(m, request, entries)
  local bytes = m.key_size + m.value_bytes
  local all = dump_all(m, UNREQUESTED, entries)
  if all then return 1, all end
  local few = entries <= FEW and not m.ops.longest_match and m.key_size > 0
  if few and spend(UNREQUESTED, entries, entries * bytes) then return elements(m, entries) end
  return lookup_keys(m, request)
end

function fetch.whole(m, request, entries)
  if m.ops.peek_many then return fetch.front(m, { nil, nil, FRONT }, entries) end
  local all = dump_all(m, REQUESTED, entries)
  if all then return 1, all end
  require_room(m, entries)
  return elements(m, entries)
end

function fetch.front(m, request, entries)
  if not m.ops.peek_many then return fetch.keys(m, { request[1], "keys" }, entries) end
  local count = math.min(request[3], entries)
  if request[3] <= FRONT then
    if not spend(UNREQUESTED, count, count * m.value_bytes) then count = 0 end
  else require_room(m, count) end
  return 0, count > 0 and m.ops.peek_many(m, count) or {}
end

function run_snapshot.attributes(m)
  return kernel.list_fields(uapi.RUN_MAP, m, m)
end

-- The fields of uapi.MAP_SNAPSHOT; false for a map that is gone. `positions` are those of a ring buffer.
function run_snapshot.read(request)
  if call("EXISTS", kernel.key("map", request[1])) == 0 then return false end
  local m = map.load(request[1])
  if m.ops.release_uref then work_list.need_released() end
  local snapshot = { attributes = run_snapshot.attributes(m), revision = map.revision(m) }
  snapshot.entries = m.ops.entries(m)
  snapshot.positions = m.ops.positions and m.ops.positions(m) or false
  snapshot.complete, snapshot.content = fetch[request[2]](m, request, snapshot.entries)
  return kernel.list_fields(uapi.MAP_SNAPSHOT, snapshot, snapshot)
end

return run_snapshot
