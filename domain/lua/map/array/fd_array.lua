-- Operations of arrays of objects (kernel/bpf/arraymap.c fd_array_map_*): filled slots in a sorted set,
-- index -> id, and their indices in another in order. Written with an object's fd, read as its id.
-- Invariants: both hold the same indices; a filled slot holds one reference on its object, as
-- "slot:<map>".
local kernel = use("base/kernel")
local map = use("map/map")
local arraymap = use("map/array/arraymap")
local refcount = use("base/refcount")
local work = use("base/work")
local map_attr = use("map/map_attr")
local call = redis.call

-- Units of the work list that the puts of an object cost, and slots that one unit takes off their list.
local PUT, SLOTS = 3, 8
local ACCESS_PROG = map_attr.ACCESS_PROG

local fd_array = {}

function fd_array.slots(m)
  return kernel.key("elem", m.id), kernel.key("keys", m.id)
end

function fd_array.alloc_check(attr, flags)
  if attr.value_size ~= 4 then map.einval("value_size must be 4, got " .. attr.value_size) end
  if bit.band(attr.map_flags, ACCESS_PROG) ~= 0 then
    map.einval("a map of fds must not have BPF_F_RDONLY_PROG or BPF_F_WRONLY_PROG")
  end
  arraymap.alloc_check(attr, flags or 0)
end

local function show(_, id)
  return struct.pack("<I4", id)
end

function fd_array.lookup(m, key)
  local id = call("ZSCORE", (fd_array.slots(m)), arraymap.index_of(key))
  return id and show(m, id) or nil
end

-- __bpf_prog_map_compatible(): all programs in a map's slots, and all that name the map, are of one kind,
-- which the first one sets for good.
function fd_array.is_compatible(m, kind)
  local record = m.record
  call("HSETNX", record, "owner", kind)
  return call("HGET", record, "owner") == kind
end

function fd_array.lookup_many(m, keys)
  local indices = {}
  for i, key in ipairs(keys) do indices[i] = arraymap.index_of(key) end
  local ids = call("ZMSCORE", (fd_array.slots(m)), unpack(indices))
  for i, id in ipairs(ids) do ids[i] = id and struct.pack("<I4", id) end
  return ids
end

-- bpf_fd_array_map_update_elem(): checks the flags, then the index; fd_get_ptr() turns the fd into an id. The
-- slot gets a reference on the new object and drops the one on the object that it replaces.
function fd_array.update(m, key, value, flags)
  if flags ~= 0 then kernel.fail("EINVAL", "flags must be 0 (BPF_ANY) for a slot, got " .. flags) end
  local i = arraymap.check_index(m, key)
  local id = m.ops.fd_get_ptr(m, arraymap.index_of(value))
  local slots, order = fd_array.slots(m)
  local old = call("ZSCORE", slots, i)
  refcount.get(m.ops.object_kind, id, "slot:" .. m.id)
  call("ZADD", slots, id, i)
  if old then refcount.put(m.ops.object_kind, old, "slot:" .. m.id) else call("ZADD", order, i, i) end
end

function fd_array.delete(m, key)
  local i = arraymap.check_index(m, key)
  local slots, order = fd_array.slots(m)
  local id = call("ZSCORE", slots, i)
  if not id then kernel.fail("ENOENT", "slot " .. i .. " is empty") end
  call("ZREM", slots, i)
  call("ZREM", order, i)
  refcount.put(m.ops.object_kind, id, "slot:" .. m.id)
end

-- Filled slots in order; shown(m, score) makes a value where a score is more than an id.
function fd_array.page(m, cursor, limit, shown)
  local slots, order = fd_array.slots(m)
  local from = cursor and "(" .. arraymap.index_of(cursor) or "-inf"
  local some = call("ZRANGEBYSCORE", order, from, "+inf", "LIMIT", 0, limit + 1)
  local more = #some > limit and table.remove(some)
  if #some == 0 then return {} end
  local list = {}
  for n, score in ipairs(call("ZMSCORE", slots, unpack(some))) do
    list[2 * n - 1], list[2 * n] = arraymap.key_of(some[n]), (shown or show)(m, score)
  end
  return list, more and list[#list - 1] or nil
end

function fd_array.entries(m)
  return call("ZCARD", (fd_array.slots(m)))
end

-- How often each object is in slots, whose scores have the ids.
local function count_objects(slots, unit)
  local counts, ids = {}, {}
  for i = 2, #slots, 2 do
    local id = math.floor(slots[i] / unit)
    if not counts[id] then ids[#ids + 1] = id end
    counts[id] = (counts[id] or 0) + 1
  end
  return counts, ids
end

-- Puts the objects of slots whose map is gone or emptied.
work.handle("put_slots", function(kind, id, list, unit)
  local key, limit = kernel.key("slots", list), math.ceil(work.room() / PUT)
  local some = call("ZPOPMIN", key, limit)
  local counts, ids = count_objects(some, unit or 1)
  for _, object in ipairs(ids) do
    if object > 0 then refcount.put(kind, object, "slot:" .. id, counts[object]) end
  end
  if #some == 2 * limit then work.push("put_slots", kind, id, list, unit or 1) end
  return PUT * #ids + math.ceil(#some / SLOTS)
end)

-- The map is empty at once, the objects go through the work list. A score is an id times `unit`, and
-- may have something else below it.
function fd_array.clear(kind, id, unit)
  local key = kernel.key("elem", id)
  if call("EXISTS", key) == 0 then return end
  local list = kernel.increment("slots")
  call("UNLINK", kernel.key("keys", id))
  call("RENAME", key, kernel.key("slots", list))
  work.push("put_slots", kind, id, list, unit or 1)
end

return fd_array
