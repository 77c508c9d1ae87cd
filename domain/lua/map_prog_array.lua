-- BPF_MAP_TYPE_PROG_ARRAY (kernel/bpf/arraymap.c): slots that tail calls go through; a sorted set,
-- index -> program id. Written with a program's fd, read as its id.
-- Invariants: a filled slot holds one reference on its program; with the last user reference every
-- slot is emptied (c9da161c65), which is what lets cycles of programs and arrays be freed.
local kernel = use("kernel")
local map = use("map")
local index = use("index")
local refcount = use("refcount")
local call = redis.call

local function slots(m)
  return kernel.key("elem", m.id)
end

-- fd_array_map_alloc_check()
local function alloc_check(attr)
  if attr.value_size ~= 4 then map.invalid("value_size is not 4") end
  if bit.band(attr.map_flags, 384) ~= 0 then
    map.invalid("BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG are not for arrays of fds")
  end
  index.alloc_check(attr, 0)
end

local function alloc() end

local function lookup(m, key)
  local id = call("ZSCORE", slots(m), index.of(key))
  return id and struct.pack("<I4", id) or nil
end

-- __bpf_prog_map_compatible(): all programs of an array, in its slots and naming it, are of one kind.
local function check_prog(m, prog)
  local owner = call("HGET", kernel.key("map", m.id), "owner")
  if owner and owner ~= prog.owner then
    map.invalid("prog_array " .. m.id .. " is of programs of another type")
  end
end

-- The first one sets the kind, for good.
local function adopt(m, prog)
  call("HSETNX", kernel.key("map", m.id), "owner", prog.owner)
end

-- bpf_fd_array_map_update_elem(): flags, index, fd, compatibility; the old program is put.
local function update(m, key, value, flags)
  if flags ~= 0 then kernel.fail("EINVAL", "flags " .. flags .. ": a slot takes BPF_ANY only") end
  local i = index.check(m, key)
  local f = use("fd_table").fget_kind(index.of(value), "prog")
  local prog = use("prog").load(f.id)
  check_prog(m, prog)
  adopt(m, prog)
  local old = call("ZSCORE", slots(m), i)
  refcount.get("prog", f.id, "slot:" .. m.id)
  call("ZADD", slots(m), f.id, i)
  if old then refcount.put("prog", old, "slot:" .. m.id) end
end

local function delete(m, key)
  local i = index.check(m, key)
  local id = call("ZSCORE", slots(m), i)
  if not id then kernel.fail("ENOENT", "slot " .. i .. " is empty") end
  call("ZREM", slots(m), i)
  refcount.put("prog", id, "slot:" .. m.id)
end

-- Filled slots, in order; a page looks at SPAN indices at most, so it may be short of `limit`.
local SPAN = 4000
local function page(m, cursor, limit)
  local first = cursor and index.of(cursor) + 1 or 0
  local stop, indices = math.min(first + SPAN, m.max_entries), {}
  for i = first, stop - 1 do indices[#indices + 1] = i end
  if #indices == 0 then return {} end
  local ids, list = call("ZMSCORE", slots(m), unpack(indices)), {}
  for n, id in ipairs(ids) do
    if id then list[#list + 1], list[#list + 2] = index.key(indices[n]), struct.pack("<I4", id) end
    if #list == 2 * limit then stop = indices[n] + 1 break end
  end
  return list, stop < m.max_entries and index.key(stop - 1) or nil
end

local function entries(m)
  return call("ZCARD", slots(m))
end

-- A step of the work list: puts the programs of slots that no array has any more.
local function put_slots(id, list)
  local key, room = kernel.key("slots", list), use("work").room()
  local some = call("ZPOPMIN", key, room)
  for i = 2, #some, 2 do refcount.put("prog", some[i], "slot:" .. id) end
  if #some == 2 * room then use("work").push("map_prog_array", "put_slots", id, list) end
  return #some / 2
end

-- prog_array_map_clear(): the array is empty at once, the programs go through the work list.
local function release_users(id)
  local key = kernel.key("elem", id)
  if call("EXISTS", key) == 0 then return end
  local list = kernel.next("slots")
  call("RENAME", key, kernel.key("slots", list))
  use("work").push("map_prog_array", "put_slots", id, list)
end

return { alloc_check = alloc_check, alloc = alloc, lookup = lookup, update = update, delete = delete,
  next_key = index.next_key, page = page, entries = entries, release_users = release_users,
  free = release_users, check_prog = check_prog, adopt = adopt, put_slots = put_slots, holds_ids = 1 }
