-- Batches on hash tables whose values are plain bytes: a few Redis commands for many elements.
local htab = use("map/hash/htab")
local map = use("map/map")
local uapi = use("uapi")
local call = redis.call
local KIND, KEY, VALUE = uapi.WRITE_AT.update.kind, uapi.WRITE_AT.update.key, uapi.WRITE_AT.update.value

local function keys_of(list)
  local keys = {}
  for i = 1, #list, 2 do keys[#keys + 1] = list[i] end
  return keys
end

-- How many of the first elements fit into the map; which keys exist matters only when it is nearly full.
local function fitting(m, elements, list)
  local room, count, fresh = m.max_entries - m.ops.entries(m), #list / 2, {}
  if room >= count then return count end
  local keys = keys_of(list)
  for i, there in ipairs(call("HMGET", elements, unpack(keys))) do
    local key = keys[i]
    if not there and not fresh[key] then
      if room == 0 then return i - 1 end
      room, fresh[key] = room - 1, true
    end
  end
  return count
end

-- When a key is given twice, the last value wins. Keys that exist are in the sorted set already.
local function store(elements, order, list)
  if #list == 0 or call("HSET", elements, unpack(list)) == 0 then return end
  for i = 2, #list, 2 do list[i - 1], list[i] = "0", list[i - 1] end
  call("ZADD", order, unpack(list))
end

local function update(m, list)
  local elements, order = htab.keys(m)
  local given, count = #list / 2, fitting(m, elements, list)
  for at = #list, 2 * count + 1, -1 do list[at] = nil end
  store(elements, order, list)
  if count == given then return count end
  local _, raised = pcall(map.fail_full, m)
  return count, raised
end

local function lookup_and_delete(m, cursor, limit)
  local list, rest = m.ops.page(m, cursor, limit)
  if #list > 0 then htab.remove_keys(m, keys_of(list)) end
  return list, rest
end

-- Writes the changes of a run, in which every key occurs once.
local function apply(m, ops)
  local elements, order = htab.keys(m)
  local gone, set = {}, {}
  for _, op in ipairs(ops) do
    local key = op[KEY]
    if op[KIND] ~= "delete" then set[#set + 1], set[#set + 2] = key, op[VALUE]
    elseif m.values[key] then gone[#gone + 1] = key end
  end
  if #gone > 0 then htab.remove_keys(m, gone) end
  store(elements, order, set)
end

return { apply = apply, lookup_and_delete = lookup_and_delete, update = update }
