-- Programs: what is stored of them, the maps they hold, and their end.
-- Invariant: a program holds one reference on each distinct map that its instructions name and on
-- each bound to it, and none of these is a user reference.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local work = use("base/work")
local fd_table = use("file/fd_table")
local insns = use("prog/insns")
local prog_type = use("prog/prog_type")
local uapi = use("uapi")
local call = redis.call

-- Units of the work list for a reference on a map.
local PUT = 3

local prog = {}

local function used(id)
  return kernel.key("used", id)
end

-- What all programs of one program array have in common.
local function owner(id)
  return call("HGET", kernel.key("prog", id), "owner") or kernel.bug("prog " .. id .. " is held but gone")
end

-- In the order of uapi.PROG_INFO, then the ids of the maps used, in the order of their first use.
local function info(id)
  local fields = call("HMGET", kernel.key("prog", id), unpack(uapi.PROG_INFO))
  fields[#fields + 1] = call("LRANGE", used(id), 0, -1)
  return fields
end

local function identify(id)
  return unpack(call("HMGET", kernel.key("prog", id), "prog_type", "prog_name"))
end

local function type_of(text)
  local type = prog_type.of(text)
  return type and type.name
end

function prog.use_map(id, map_id)
  refcount.get("map", map_id, "prog:" .. id)
  call("RPUSH", used(id), map_id)
end

-- A dead program puts its maps.
work.handle("put_maps", function(id)
  local limit = math.ceil(work.room() / PUT)
  local maps = call("LPOP", used(id), limit) or {}
  for _, map_id in ipairs(maps) do refcount.put("map", map_id, "prog:" .. id) end
  if #maps == limit then work.push("put_maps", id) end
  return PUT * #maps
end)

local function free(id)
  insns.free(id)
  work.unlink(kernel.key("prog", id))
  work.unlink(kernel.key("holders:prog", id))
  work.push("put_maps", id)
end

refcount.kinds.prog = { info = info, identify = identify, type_of = type_of, free = free, owner = owner }

--[[
  BPF_PROG_BIND_MAP (kernel: bpf_prog_bind_map()): the program holds the map from now on. A map that it
  holds already gets no second reference; the owner of a program array is neither checked nor set.

    Input:
      fd      of the program
      map_fd  of the map
      flags   0
    Output: nothing
    Errors:
      EINVAL  flags is not 0, or an fd is of the wrong kind
      EBADF   an fd is not open
]]
function kernel.sys.prog_bind_map(fd, map_fd, flags)
  if flags ~= "0" then kernel.fail("EINVAL", "flags of BPF_PROG_BIND_MAP must be 0, got " .. flags) end
  local f = fd_table.fget_kind(fd, "prog")
  local m = fd_table.fget_kind(map_fd, "map")
  local held = call("HEXISTS", kernel.key("holders:map", m.id), "prog:" .. f.id)
  if held == 0 then prog.use_map(f.id, m.id) end
end

return prog
