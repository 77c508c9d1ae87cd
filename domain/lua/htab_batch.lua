-- Batches on hash tables whose elements are just bytes: a few Redis commands for many elements.
local htab = use("htab")
local map = use("map")
local call = redis.call

-- The first elements that fit into the map, the last value of a key winning, as one after the other.
local function fitting(m, list, order)
  local keys = {}
  for i, pair in ipairs(list) do keys[i] = pair[1] end
  local there = call("ZMSCORE", order, unpack(keys))
  local room, fresh = m.max_entries - m.ops.entries(m), {}
  for i, key in ipairs(keys) do
    if not there[i] and not fresh[key] then
      if room == 0 then return i - 1, fresh end
      room, fresh[key] = room - 1, true
    end
  end
  return #keys, fresh
end

local function update(m, list)
  local elements, order = htab.keys(m)
  local count, fresh = fitting(m, list, order)
  local stored, members = {}, {}
  for i = 1, count do stored[2 * i - 1], stored[2 * i] = list[i][1], list[i][2] end
  for key in pairs(fresh) do members[#members + 1], members[#members + 2] = 0, key end
  if #members > 0 then call("ZADD", order, unpack(members)) end
  if count > 0 then call("HSET", elements, unpack(stored)) end
  if count == #list then return count end
  local _, raised = pcall(map.full, m)
  return count, raised
end

local function lookup_and_delete(m, cursor, limit)
  local list, rest = m.ops.page(m, cursor, limit)
  local elements, order = htab.keys(m)
  local keys = {}
  for i = 1, #list, 2 do keys[#keys + 1] = list[i] end
  if #keys > 0 then
    call("HDEL", elements, unpack(keys))
    call("ZREM", order, unpack(keys))
  end
  return list, rest
end

local generic = use("generic_batch")

return { lookup = generic.lookup, lookup_and_delete = lookup_and_delete, update = update,
  delete = generic.delete, whole = true }
