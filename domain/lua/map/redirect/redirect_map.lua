-- Operations of the maps of bpf_redirect_map() (kernel/bpf/devmap.c, cpumap.c): filled slots as in
-- fd_array.lua, a score being a target (an interface, the size of a CPU's queue) and, times PROG, the id
-- of the program that packets meet there, or 0. A value is the target, and with 8 bytes the program:
-- written as its fd, read as its id.
-- Invariant: a slot holds one reference on its program, as "slot:<map>".
local map = use("map/map")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local refcount = use("base/refcount")
local fd_table = use("file/fd_table")
local call = redis.call

-- More than any target.
local PROG = 32768

local redirect_map = {}

function redirect_map.check_attributes(attr, flags)
  if attr.max_entries == 0 then map.einval("max_entries must be > 0, got 0") end
  if attr.key_size ~= 4 then map.einval("key_size must be 4, got " .. attr.key_size) end
  if attr.value_size ~= 4 and attr.value_size ~= 8 then
    map.einval("value_size must be 4 or 8, got " .. attr.value_size)
  end
  if bit.band(attr.map_flags, bit.bnot(flags)) ~= 0 then
    map.einval("map_flags " .. attr.map_flags .. " has a flag that a " .. attr.map_type
      .. " does not support")
  end
end

function redirect_map.alloc() end

-- The target, and the fd of the program or nil.
function redirect_map.parse(value)
  local target, fd = struct.unpack("<I4i4", value .. "\0\0\0\0")
  return target, fd > 0 and fd or nil
end

-- Programs of a map share a type and BPF_F_XDP_HAS_FRAGS; their attach types may differ.
local function is_compatible(m, owner)
  return fd_array.is_compatible(m, (owner:gsub("/%d+", "", 1)))
end

function redirect_map.check_compatible(m, owner)
  if not is_compatible(m, owner) then
    map.einval(m.type .. " " .. m.id
      .. " belongs to programs of another type, or with another BPF_F_XDP_HAS_FRAGS")
  end
end

-- The id of the program behind fd, or nil when the map cannot hold it.
function redirect_map.get_prog_id(m, fd, attach)
  local f = fd_table.lookup(fd)
  if not f or f.kind ~= "prog" then return nil end
  local owner = refcount.kinds.prog.owner(f.id)
  return owner:find("^xdp/" .. attach .. "/") and is_compatible(m, owner) and f.id or nil
end

local function put(m, score)
  local id = math.floor(score / PROG)
  if id > 0 then refcount.put("prog", id, "slot:" .. m.id) end
end

function redirect_map.set(m, i, target, prog)
  local slots, order = fd_array.slots(m)
  local old = call("ZSCORE", slots, i)
  if prog then refcount.get("prog", prog, "slot:" .. m.id) end
  call("ZADD", slots, target + PROG * (prog or 0), i)
  if old then put(m, old) else call("ZADD", order, i, i) end
end

-- Empties a slot; false when it was empty.
function redirect_map.clear(m, i)
  local slots, order = fd_array.slots(m)
  local old = call("ZSCORE", slots, i)
  if not old then return false end
  call("ZREM", slots, i)
  call("ZREM", order, i)
  put(m, old)
  return true
end

-- dev_map_delete_elem(), cpu_map_delete_elem(): an empty slot is no error.
function redirect_map.delete(m, key)
  local i = arraymap.index_of(key)
  if i >= m.max_entries then map.einval("index must be < " .. m.max_entries .. ", got " .. i) end
  redirect_map.clear(m, i)
end

local function show(m, score)
  return struct.pack("<I4I4", score % PROG, math.floor(score / PROG)):sub(1, m.value_size)
end

function redirect_map.lookup(m, key)
  local score = call("ZSCORE", (fd_array.slots(m)), arraymap.index_of(key))
  return score and show(m, score) or nil
end

function redirect_map.page(m, cursor, limit)
  return fd_array.page(m, cursor, limit, show)
end

function redirect_map.free(id)
  fd_array.clear("prog", id, PROG)
end

return redirect_map
