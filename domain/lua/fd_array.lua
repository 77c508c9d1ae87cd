-- What arrays of objects share (kernel/bpf/arraymap.c fd_array_map_*): slots in a sorted set, index ->
-- id. Written with an object's fd, read as its id.
-- Invariant: a filled slot holds one reference on its object, as "slot:<map>".
local kernel = use("kernel")
local map = use("map")
local index = use("index")
local refcount = use("refcount")
local call = redis.call

local ACCESS_PROG = 384
-- A page looks at so many indices at most, so it may be short of its limit.
local SPAN = 4000

local fd_array = {}

function fd_array.slots(m)
  return kernel.key("elem", m.id)
end

function fd_array.alloc_check(attr)
  if attr.value_size ~= 4 then map.invalid("value_size is not 4") end
  if bit.band(attr.map_flags, ACCESS_PROG) ~= 0 then
    map.invalid("BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG are not for arrays of fds")
  end
  index.alloc_check(attr, 0)
end

function fd_array.lookup(m, key)
  local id = call("ZSCORE", fd_array.slots(m), index.of(key))
  return id and struct.pack("<I4", id) or nil
end

-- bpf_fd_array_map_update_elem(): flags, index, then the fd, from which resolve(m, fd) makes an id; the
-- old object is put.
function fd_array.update(m, key, value, flags)
  if flags ~= 0 then kernel.fail("EINVAL", "flags " .. flags .. ": a slot takes BPF_ANY only") end
  local i = index.check(m, key)
  local id = m.ops.resolve(m, index.of(value))
  local old = call("ZSCORE", fd_array.slots(m), i)
  refcount.get(m.ops.holds, id, "slot:" .. m.id)
  call("ZADD", fd_array.slots(m), id, i)
  if old then refcount.put(m.ops.holds, old, "slot:" .. m.id) end
end

function fd_array.delete(m, key)
  local i = index.check(m, key)
  local id = call("ZSCORE", fd_array.slots(m), i)
  if not id then kernel.fail("ENOENT", "slot " .. i .. " is empty") end
  call("ZREM", fd_array.slots(m), i)
  refcount.put(m.ops.holds, id, "slot:" .. m.id)
end

-- Filled slots, in order.
function fd_array.page(m, cursor, limit)
  local first = cursor and index.of(cursor) + 1 or 0
  local stop, indices = math.min(first + SPAN, m.max_entries), {}
  for i = first, stop - 1 do indices[#indices + 1] = i end
  if #indices == 0 then return {} end
  local ids, list = call("ZMSCORE", fd_array.slots(m), unpack(indices)), {}
  for n, id in ipairs(ids) do
    if id then list[#list + 1], list[#list + 2] = index.key(indices[n]), struct.pack("<I4", id) end
    if #list == 2 * limit then stop = indices[n] + 1 break end
  end
  return list, stop < m.max_entries and index.key(stop - 1) or nil
end

function fd_array.entries(m)
  return call("ZCARD", fd_array.slots(m))
end

-- A step of the work list: puts the objects of slots that no map has any more.
function fd_array.put_slots(kind, id, list)
  local key, room = kernel.key("slots", list), use("work").room()
  local some = call("ZPOPMIN", key, room)
  for i = 2, #some, 2 do refcount.put(kind, some[i], "slot:" .. id) end
  if #some == 2 * room then use("work").push("fd_array", "put_slots", kind, id, list) end
  return #some / 2
end

-- The map is empty at once, the objects go through the work list.
function fd_array.clear(kind, id)
  local key = kernel.key("elem", id)
  if call("EXISTS", key) == 0 then return end
  local list = kernel.next("slots")
  call("RENAME", key, kernel.key("slots", list))
  use("work").push("fd_array", "put_slots", kind, id, list)
end

return fd_array
